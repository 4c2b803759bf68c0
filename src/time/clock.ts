import type { Instant } from './instant.ts'

/** The only source of "now". The system's in production; a test clock for customers that live by one. */
export interface Clock {
  now(): Instant
}
