import { isDeepStrictEqual } from 'node:util'
import type { KeyState, KeyTopicDocument, QuotaStatus } from '../../src/provision/key-state.ts'
import { withCause, withoutCauses } from '../../src/provision/cause.ts'
import { holderIndex, holderOf } from '../../src/provision/holder.ts'
import { succeed } from '../../src/provision/mint.ts'
import type {
  Assignment,
  GateSnapshot,
  KeyChangeOutcome,
  KeyStore,
  QuotaStore,
  TopUp,
} from '../../src/provision/ports.ts'
import type { Quota } from '../../src/provision/quota.ts'
import type { Notice } from '../../src/provision/settle.ts'
import { type Page, type PageRequest, pageOf } from '../../src/id/page.ts'
import { type Instant, instantOf } from '../../src/time/instant.ts'
import { add, compare, decimal, toText, ZERO } from '../../src/money/decimal.ts'

export interface MemoryGateStore {
  readonly keys: KeyStore
  readonly quotas: QuotaStore
  readonly snapshot: GateSnapshot
  /** Every document that was put on `key.state.v1`, in order. */
  readonly published: KeyTopicDocument[]
  /** Told of each document when it is published, as a replica is. */
  onPublish: (document: KeyTopicDocument) => void
}

/** The gate's stores in memory; held to the same conformance suite as the database's. */
export function createMemoryGateStore(): MemoryGateStore {
  const keys = new Map<string, KeyState>()
  const quotas = new Map<string, Quota>()
  const assignments = new Map<string, Assignment>()
  const statuses = new Map<string, QuotaStatus>()
  const notices: Notice[] = []
  const topUps: TopUp[] = []
  const locks = new Map<string, Promise<unknown>>()
  const published: KeyTopicDocument[] = []
  const lastUses = new Map<string, Instant>()

  const indexOf = ({ tenant, holder, quotaKey }: Assignment): string =>
    `${holderIndex(tenant, holder)}\0${quotaKey}`
  const put = (state: KeyState): void => {
    keys.set(`${state.tenant}\0${state.keyId}`, state)
    publish(state)
  }
  const publish = (document: KeyTopicDocument): void => {
    published.push(document)
    store.onPublish(document)
  }
  const change = (
    tenant: string,
    keyId: string,
    to: (state: KeyState) => Partial<KeyState> | null,
  ): KeyChangeOutcome => {
    const held = keys.get(`${tenant}\0${keyId}`)
    if (held === undefined) return { kind: 'unknown' }
    const changes = to(held)
    if (changes === null) return { kind: 'unchanged', state: held }
    if (held.revokedAt !== null) return { kind: 'revoked', state: held }
    const state = { ...held, ...changes, version: held.version + 1 }
    put(state)
    return { kind: 'changed', state }
  }
  const paged = <T>(
    all: readonly T[],
    nameOf: (one: T) => string,
    { limit, after }: PageRequest,
  ): Page<T> => {
    const sorted = all.toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))
    const rest = sorted.filter((one) => after === null || nameOf(one) > after)
    return pageOf(rest, limit, nameOf)
  }

  const store: MemoryGateStore = {
    published,
    onPublish: () => undefined,
    keys: {
      async create(state) {
        for (const quotaKey of state.quotas) {
          if (!quotas.has(`${state.tenant}\0${quotaKey}`)) return { kind: 'unknownQuota', quotaKey }
        }
        if ([...keys.values()].some((other) => other.hash === state.hash)) return { kind: 'hashTaken' }
        const holder = holderOf(state)
        for (const quotaKey of holder === null ? [] : state.quotas) {
          const assignment = { tenant: state.tenant, quotaKey, holder: holder as Assignment['holder'] }
          assignments.set(indexOf(assignment), assignment)
        }
        put(state)
        return { kind: 'created' as const }
      },
      get: async (tenant, keyId) => keys.get(`${tenant}\0${keyId}`) ?? null,
      list: async (tenant, { customer, subject }, page) =>
        paged(
          [...keys.values()].filter(
            (state) =>
              state.tenant === tenant &&
              (customer === undefined || state.customer === customer) &&
              (subject === undefined || state.subject === subject),
          ),
          (state) => state.keyId,
          page,
        ),
      async rotate(tenant, keyId, secret, overlapUntil) {
        const held = keys.get(`${tenant}\0${keyId}`)
        if (held === undefined) return { kind: 'unknown' }
        if (held.revokedAt !== null) return { kind: 'revoked' }
        if (held.rotatedTo !== null) return { kind: 'alreadyRotated', to: held.rotatedTo }
        const { state, predecessor } = succeed(held, secret, overlapUntil)
        put(state)
        put(predecessor)
        return { kind: 'rotated', state, predecessor }
      },
      revoke: async (tenant, keyId, at) =>
        change(tenant, keyId, (held) => (held.revokedAt === null ? { revokedAt: at } : null)),
      suspend: async (tenant, keyId, cause) =>
        change(tenant, keyId, (held) =>
          held.causes.some((one) => one.kind === cause.kind)
            ? null
            : { causes: withCause(held.causes, cause) },
        ),
      resume: async (tenant, keyId, kind) =>
        change(tenant, keyId, (held) =>
          held.causes.some((one) => one.kind === kind)
            ? { causes: withoutCauses(held.causes, { kind }) }
            : null,
        ),
      async noteUses(uses) {
        for (const { tenant, keyId, at } of uses) {
          const index = `${tenant}\0${keyId}`
          if (keys.has(index)) lastUses.set(index, instantOf(Math.max(lastUses.get(index) ?? at, at)))
        }
      },
      lastUses: async (tenant, keyIds) =>
        new Map(
          keyIds.flatMap((keyId) => {
            const at = lastUses.get(`${tenant}\0${keyId}`)
            return at === undefined ? [] : [[keyId, at] as const]
          }),
        ),
    },
    quotas: {
      async put(draft) {
        const index = `${draft.tenant}\0${draft.key}`
        const held = quotas.get(index)
        if (held !== undefined && isDeepStrictEqual({ ...draft, version: held.version }, held)) {
          return { kind: 'unchanged', quota: held }
        }
        const quota = { ...draft, version: (held?.version ?? 0) + 1 }
        quotas.set(index, quota)
        return { kind: held === undefined ? 'created' : 'replaced', quota }
      },
      get: async (tenant, key) => quotas.get(`${tenant}\0${key}`) ?? null,
      list: async (tenant, page) =>
        paged(
          [...quotas.values()].filter((quota) => quota.tenant === tenant),
          (quota) => quota.key,
          page,
        ),
      assignments: async ({ tenant, quotaKey, holders }) =>
        [...assignments.values()].flatMap((assignment) => {
          const wanted =
            (tenant === undefined || assignment.tenant === tenant) &&
            (quotaKey === undefined || assignment.quotaKey === quotaKey) &&
            (holders === undefined ||
              holders.some(({ kind, id }) => kind === assignment.holder.kind && id === assignment.holder.id))
          const quota = quotas.get(`${assignment.tenant}\0${assignment.quotaKey}`)
          return wanted && quota !== undefined ? [{ ...assignment, quota }] : []
        }),
      settle(assignment, decide) {
        const index = indexOf(assignment)
        const run = async (): ReturnType<QuotaStore['settle']> => {
          const quota = quotas.get(`${assignment.tenant}\0${assignment.quotaKey}`)
          if (!assignments.has(index) || quota === undefined) return null
          const settlement = await decide({
            quota,
            previous: statuses.get(index) ?? null,
            topUps: async (epoch) =>
              toText(
                topUps
                  .filter((one) => indexOf(one.assignment) === index && one.epoch === epoch)
                  .reduce((sum, one) => add(sum, decimal(one.units)), ZERO),
              ),
            keys: [...keys.values()].filter((state) => {
              const holder = holderOf(state)
              return (
                state.revokedAt === null &&
                state.quotas.includes(assignment.quotaKey) &&
                holder !== null &&
                holderIndex(state.tenant, holder) === holderIndex(assignment.tenant, assignment.holder)
              )
            }),
          })
          if (settlement === null) return null
          statuses.set(index, settlement.status)
          const fresh = settlement.notices.filter((notice) => !notices.some((told) => told.id === notice.id))
          notices.push(...fresh)
          for (const state of settlement.keys) put(state)
          if (settlement.publish) publish(settlement.status)
          return { settlement, fresh }
        }
        const after = (locks.get(index) ?? Promise.resolve()).then(run, run)
        locks.set(index, after)
        return after
      },
      status: async (assignment) => statuses.get(indexOf(assignment)) ?? null,
      notices: async (assignment, epoch) =>
        notices.filter((notice) => indexOf(notice) === indexOf(assignment) && notice.epoch === epoch),
      async topUp(topUp) {
        const told = topUps.find(
          (one) => one.id === topUp.id && one.assignment.tenant === topUp.assignment.tenant,
        )
        if (told === undefined) {
          topUps.push(topUp)
          return { kind: 'added' }
        }
        const same =
          indexOf(told.assignment) === indexOf(topUp.assignment) &&
          compare(decimal(told.units), decimal(topUp.units)) === 0
        return same ? { kind: 'repeated' } : { kind: 'conflict' }
      },
    },
    snapshot: {
      async *keys() {
        yield [...keys.values()]
      },
      async *statuses() {
        yield [...statuses.values()]
      },
    },
  }
  return store
}
