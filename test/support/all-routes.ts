import { readdirSync } from 'node:fs'
import type { Api } from '../../src/http/api.ts'

/** Stands for every dependency: it can be called, and has every member. Routes are described without running. */
const anything: unknown = new Proxy(() => anything, {
  get: (_, member) => (member === Symbol.toPrimitive ? () => 1 : anything),
  apply: () => anything,
})

/** Every route module of src/http, found by its name, so that none can be forgotten. By file. */
export async function allRoutes(): Promise<ReadonlyMap<string, Api>> {
  const files = readdirSync('src/http', { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && file !== 'openapi.ts')
    .sort()
  const found = new Map<string, Api>()
  for (const file of files) {
    const module = (await import(/* @vite-ignore */ `../../src/http/${file}`)) as Record<string, unknown>
    for (const [name, make] of Object.entries(module)) {
      if (!/^create\w+Routes$/.test(name) || typeof make !== 'function') continue
      found.set(`${file} ${name}`, (make as (deps: unknown) => Api)(anything))
    }
  }
  return found
}
