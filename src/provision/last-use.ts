import type { Instant } from '../time/instant.ts'
import type { HeldKey } from './key-record.ts'
import type { KeyStore, KeyUse } from './ports.ts'

export interface LastUse {
  /** Cheap enough for every decision: most calls end at one look into a map. */
  note(key: Pick<HeldKey, 'tenant' | 'keyId'>, now: Instant): void
  /** Writes what was noted since the last time. On failure it is kept for the next. */
  flush(): Promise<void>
}

/** A key's last use is as good as this: an audit asks for days, and the database is not to be asked per request. */
const SAMPLE_MS = 60_000
/** Keys between two flushes; the rest are noted at their next use. */
const NOTED_MAX = 10_000
/** Keys whose last noting is remembered; the oldest are forgotten, which costs one more write. */
const REMEMBERED_MAX = 100_000

/** When keys were last used: sampled once a minute a key, bounded, written in batches by whoever calls `flush`. */
export function createLastUse(store: Pick<KeyStore, 'noteUses'>): LastUse {
  const remembered = new Map<string, Instant>()
  let noted = new Map<string, KeyUse>()
  return {
    note({ tenant, keyId }, now) {
      const before = remembered.get(keyId)
      if (before !== undefined && now - before < SAMPLE_MS && now >= before) return
      if (noted.size >= NOTED_MAX && !noted.has(keyId)) return
      noted.set(keyId, { tenant, keyId, at: now })
      remembered.delete(keyId)
      remembered.set(keyId, now)
      if (remembered.size > REMEMBERED_MAX) {
        const [oldest] = remembered.keys()
        if (oldest !== undefined) remembered.delete(oldest)
      }
    },
    async flush() {
      if (noted.size === 0) return
      const uses = noted
      noted = new Map()
      try {
        await store.noteUses([...uses.values()])
      } catch (error) {
        noted = new Map([...uses, ...noted])
        throw error
      }
    },
  }
}
