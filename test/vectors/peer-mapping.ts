import type { Mapping } from './vector.ts'
export const peerMappings: Readonly<Record<string, Mapping>> = {}
