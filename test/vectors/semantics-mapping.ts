import type { Mapping } from './vector.ts'
export const semanticsMappings: Readonly<Record<string, Mapping>> = {}
