import { describe, expect, it } from 'vitest'
import type { ApiKeyId, QuotaKey, SubjectId, TenantId } from '../../src/id/ids.ts'
import type { KeyState, KeyTopicDocument } from '../../src/provision/key-state.ts'
import { mintKey, mintSecret } from '../../src/provision/mint.ts'
import type {
  Assignment,
  AssignmentFacts,
  GateSnapshot,
  KeyStore,
  QuotaStore,
} from '../../src/provision/ports.ts'
import { epochAt } from '../../src/provision/quota.ts'
import { settle, type Settlement } from '../../src/provision/settle.ts'
import { instantOf } from '../../src/time/instant.ts'
import { ACME, aQuota, at, randomFrom, TENANT, TOKENS } from '../support/gate.ts'

export interface GateStoreUnderTest {
  readonly keys: KeyStore
  readonly quotas: QuotaStore
  readonly snapshot: GateSnapshot
  /** What was published since the last call, in order. */
  published(): Promise<readonly KeyTopicDocument[]>
}

const NOW = at('2023-11-15T12:00:00Z')
const HOLDER = { kind: 'customer', id: ACME } as const
const ASSIGNMENT: Assignment = { tenant: TENANT, quotaKey: TOKENS, holder: HOLDER }

/** What every store of keys and quotas must do. `open` gives an empty one that knows the tenant and the customer. */
export function describeGateStore(name: string, open: () => Promise<GateStoreUnderTest>): void {
  let minted = 0
  const aState = (changes: Partial<KeyState> = {}): KeyState => {
    const context = { nowMs: NOW + ++minted, createdAt: NOW, randomBytes: randomFrom(minted) }
    const { state } = mintKey(
      { tenant: TENANT, name: `key ${minted}`, scopes: ['a.b'], customer: ACME },
      context,
    )
    return { ...state, ...changes }
  }
  const decideAt =
    (used: string) =>
    async (facts: AssignmentFacts): Promise<Settlement | null> => {
      const { quota, previous, keys, topUps } = facts
      const epoch = epochAt(quota.period, NOW, 'UTC', null)
      return settle({
        quota,
        holder: HOLDER,
        epoch,
        used,
        topUps: await topUps(epoch.label),
        previous,
        keys,
        now: NOW,
      })
    }

  describe(`${name} as a store of the gate`, () => {
    it('keeps a key as it is, publishes it, and lists it in the order of ids', async () => {
      const store = await open()
      const states = [
        aState(),
        aState({ subject: 'a' as SubjectId }),
        aState({ expiresAt: instantOf(NOW + 1) }),
      ]
      for (const state of states) expect(await store.keys.create(state)).toEqual({ kind: 'created' })
      expect(await store.published()).toEqual(states)
      expect(await store.keys.get(TENANT, states[2]?.keyId ?? ('' as ApiKeyId))).toEqual(states[2])
      expect(await store.keys.get('ten_2' as TenantId, states[0]?.keyId ?? ('' as ApiKeyId))).toBeNull()
      const first = await store.keys.list(TENANT, {}, { limit: 2, after: null })
      expect(first).toEqual({ data: states.slice(0, 2), next: states[1]?.keyId })
      expect(await store.keys.list(TENANT, {}, { limit: 2, after: first.next })).toEqual({
        data: [states[2]],
        next: null,
      })
      const ofA = await store.keys.list(TENANT, { subject: 'a' as SubjectId }, { limit: 9, after: null })
      expect(ofA.data).toEqual([states[1]])
    })

    it('refuses a key whose quota does not exist, and writes nothing of it', async () => {
      const store = await open()
      const state = aState({ quotas: [TOKENS] })
      expect(await store.keys.create(state)).toEqual({ kind: 'unknownQuota', quotaKey: TOKENS })
      expect(await store.keys.get(TENANT, state.keyId)).toBeNull()
      expect(await store.published()).toEqual([])
    })

    it('keeps one key a hash, and writes nothing of a second', async () => {
      const store = await open()
      const state = aState()
      await store.keys.create(state)
      const twin = aState({ hash: state.hash })
      expect(await store.keys.create(twin)).toEqual({ kind: 'hashTaken' })
      expect(await store.keys.get(TENANT, twin.keyId)).toBeNull()
      expect(await store.published()).toEqual([state])
    })

    it('remembers the last use of keys, never an earlier one, and publishes nothing of it', async () => {
      const store = await open()
      const [used, unused] = [aState(), aState()]
      await store.keys.create(used)
      await store.keys.create(unused)
      await store.published()
      const use = (at: number) => ({ tenant: TENANT, keyId: used.keyId, at: instantOf(at) })
      await store.keys.noteUses([])
      await store.keys.noteUses([use(NOW), { ...use(NOW), keyId: 'key_none' as ApiKeyId }])
      await store.keys.noteUses([use(NOW - 5)])
      expect(await store.keys.lastUses(TENANT, [used.keyId, unused.keyId])).toEqual(
        new Map([[used.keyId, NOW]]),
      )
      expect(await store.keys.lastUses(TENANT, [])).toEqual(new Map())
      expect(await store.published()).toEqual([])
    })

    it('changes a key a version at a time, and a revoked one never again', async () => {
      const store = await open()
      const state = aState()
      await store.keys.create(state)
      const cause = { kind: 'admin', by: 'ops', reason: 'unpaid', since: NOW } as const
      const suspended = await store.keys.suspend(TENANT, state.keyId, cause)
      expect(suspended).toEqual({ kind: 'changed', state: { ...state, version: 2, causes: [cause] } })
      expect((await store.keys.suspend(TENANT, state.keyId, cause)).kind).toBe('unchanged')
      expect(await store.keys.resume(TENANT, state.keyId, 'admin')).toEqual({
        kind: 'changed',
        state: { ...state, version: 3 },
      })
      expect((await store.keys.resume(TENANT, state.keyId, 'leak')).kind).toBe('unchanged')
      expect(await store.keys.revoke(TENANT, state.keyId, NOW)).toMatchObject({
        kind: 'changed',
        state: { version: 4, revokedAt: NOW },
      })
      expect((await store.keys.revoke(TENANT, state.keyId, instantOf(NOW + 1))).kind).toBe('unchanged')
      expect((await store.keys.suspend(TENANT, state.keyId, cause)).kind).toBe('revoked')
      expect((await store.keys.revoke(TENANT, 'key_none' as ApiKeyId, NOW)).kind).toBe('unknown')
      expect((await store.published()).map((document) => document.version)).toEqual([1, 2, 3, 4])
    })

    it('rotates once: the successor has all that its predecessor had', async () => {
      const store = await open()
      await store.quotas.put(aQuota(), NOW)
      const state = aState({ quotas: [TOKENS] })
      await store.keys.create(state)
      const context = { nowMs: NOW, createdAt: NOW, randomBytes: randomFrom(900) }
      const { secret } = mintSecret(context)
      const until = instantOf(NOW + 60_000)
      const outcome = await store.keys.rotate(TENANT, state.keyId, secret, until)
      expect(outcome).toEqual({
        kind: 'rotated',
        state: { ...state, ...secret },
        predecessor: { ...state, version: 2, expiresAt: until, rotatedTo: secret.keyId },
      })
      const again = await store.keys.rotate(
        TENANT,
        state.keyId,
        mintSecret({ ...context, randomBytes: randomFrom(901) }).secret,
        until,
      )
      expect(again).toEqual({ kind: 'alreadyRotated', to: secret.keyId })
      expect(await store.published()).toHaveLength(3)
    })

    it('keeps quotas by version; the same again is no change', async () => {
      const store = await open()
      expect(await store.quotas.put(aQuota(), NOW)).toEqual({
        kind: 'created',
        quota: { ...aQuota(), version: 1 },
      })
      expect((await store.quotas.put(aQuota(), NOW)).kind).toBe('unchanged')
      expect(await store.quotas.put(aQuota({ limit: null }), NOW)).toEqual({
        kind: 'replaced',
        quota: { ...aQuota({ limit: null }), version: 2 },
      })
      expect(await store.quotas.get(TENANT, TOKENS)).toEqual({ ...aQuota({ limit: null }), version: 2 })
      await store.quotas.put(aQuota({ key: 'another' as QuotaKey }), NOW)
      const page = await store.quotas.list(TENANT, { limit: 1, after: null })
      expect([page.data.map((quota) => quota.key), page.next]).toEqual([['another'], 'another'])
    })

    it('assigns quotas to the holder of a key, once', async () => {
      const store = await open()
      await store.quotas.put(aQuota(), NOW)
      await store.quotas.put(aQuota({ key: 'other' as QuotaKey }), NOW)
      await store.keys.create(aState({ quotas: [TOKENS] }))
      await store.keys.create(aState({ quotas: [TOKENS, 'other' as QuotaKey] }))
      await store.keys.create(aState({ subject: 'a' as SubjectId, quotas: [TOKENS] }))
      const found = await store.quotas.assignments({ tenant: TENANT })
      const named = (all: typeof found): string[] =>
        all.map((one) => `${one.quotaKey} ${one.holder.kind} ${one.holder.id}`).toSorted()
      const all = ['other customer acme', 'output-tokens customer acme', 'output-tokens subject a']
      expect(named(found)).toEqual(all)
      expect(named(await store.quotas.assignments({}))).toEqual(all)
      expect(named(await store.quotas.assignments({ quotaKey: 'other' as QuotaKey }))).toEqual(
        all.slice(0, 1),
      )
      expect(named(await store.quotas.assignments({ holders: [HOLDER] }))).toEqual(all.slice(0, 2))
      expect(named(await store.quotas.assignments({ holders: [] }))).toEqual([])
      expect(named(await store.quotas.assignments({ tenant: 'ten_2' as TenantId }))).toEqual([])
    })

    it('writes a settlement whole: status, causes, notices once, and what is published', async () => {
      const store = await open()
      await store.quotas.put(aQuota(), NOW)
      const state = aState({ quotas: [TOKENS] })
      const bystander = aState()
      await store.keys.create(state)
      await store.keys.create(bystander)
      await store.published()

      const settled = await store.quotas.settle(ASSIGNMENT, decideAt('200000'))
      expect(settled?.fresh.map((notice) => notice.rung)).toEqual(['0.8 notify', '1 suspend'])
      expect(await store.quotas.status(ASSIGNMENT)).toEqual(settled?.settlement.status)
      const key = await store.keys.get(TENANT, state.keyId)
      expect(key).toMatchObject({
        version: 2,
        causes: [{ kind: 'quota', quotaKey: TOKENS, epoch: '2023-11' }],
      })
      expect(await store.published()).toEqual([key, settled?.settlement.status])
      expect(await store.keys.get(TENANT, bystander.keyId)).toEqual(bystander)

      expect(await store.quotas.settle(ASSIGNMENT, decideAt('200000'))).toBeNull()
      const down = await store.quotas.settle(ASSIGNMENT, decideAt('150000'))
      expect(down?.fresh.map((notice) => notice.kind)).toEqual(['restored'])
      const again = await store.quotas.settle(ASSIGNMENT, decideAt('170000'))
      expect(again?.fresh).toEqual([])
      expect((await store.quotas.notices(ASSIGNMENT, '2023-11')).map((notice) => notice.rung)).toEqual([
        '0.8 notify',
        '1 suspend',
        null,
      ])
      expect(await store.keys.get(TENANT, state.keyId)).toMatchObject({ version: 3, causes: [] })
    })

    it('settles one assignment one at a time: an older figure never overwrites a newer one', async () => {
      const store = await open()
      await store.quotas.put(aQuota(), NOW)
      await store.keys.create(aState({ quotas: [TOKENS] }))
      let figure = 0
      await Promise.all(
        Array.from({ length: 8 }, () =>
          store.quotas.settle(ASSIGNMENT, async (facts) => {
            figure += 1000
            return decideAt(String(figure))(facts)
          }),
        ),
      )
      expect(await store.quotas.status(ASSIGNMENT)).toMatchObject({ used: '8000', version: 8 })
    })

    it('a decision that fails leaves everything as it was', async () => {
      const store = await open()
      await store.quotas.put(aQuota(), NOW)
      await store.keys.create(aState({ quotas: [TOKENS] }))
      const failing = store.quotas.settle(ASSIGNMENT, async () => {
        throw new Error('the usage store is away')
      })
      await expect(failing).rejects.toThrow('the usage store is away')
      expect(await store.quotas.status(ASSIGNMENT)).toBeNull()
      expect((await store.quotas.settle(ASSIGNMENT, decideAt('1')))?.settlement.status.used).toBe('1')
    })

    it('an assignment that is not there settles nothing', async () => {
      const store = await open()
      await store.quotas.put(aQuota(), NOW)
      expect(await store.quotas.settle(ASSIGNMENT, decideAt('1'))).toBeNull()
    })

    it('adds a top-up once per id', async () => {
      const store = await open()
      await store.quotas.put(aQuota(), NOW)
      await store.keys.create(aState({ quotas: [TOKENS] }))
      const topUp = { id: 'order-1', assignment: ASSIGNMENT, epoch: '2023-11', units: '0.5', at: NOW }
      expect(await store.quotas.topUp(topUp)).toEqual({ kind: 'added' })
      expect(await store.quotas.topUp({ ...topUp, units: '0.50' })).toEqual({ kind: 'repeated' })
      expect(await store.quotas.topUp({ ...topUp, units: '5' })).toEqual({ kind: 'conflict' })
      expect(await store.quotas.topUp({ ...topUp, id: 'order-2', units: '1.25' })).toEqual({ kind: 'added' })
      await store.quotas.topUp({ ...topUp, id: 'order-3', epoch: '2023-12' })
      const settled = await store.quotas.settle(ASSIGNMENT, decideAt('1'))
      expect(settled?.settlement.status).toMatchObject({ topUps: '1.75', limit: '200001.75' })
    })

    it('gives a gate everything to start from', async () => {
      const store = await open()
      await store.quotas.put(aQuota(), NOW)
      const states = [aState({ quotas: [TOKENS] }), aState()]
      for (const state of states) await store.keys.create(state)
      await store.keys.revoke(TENANT, states[1]?.keyId ?? ('' as ApiKeyId), NOW)
      await store.quotas.settle(ASSIGNMENT, decideAt('1'))
      const keys = await all(store.snapshot.keys())
      expect(keys.map((state) => state.version).toSorted()).toEqual([1, 2])
      const statuses = await all(store.snapshot.statuses())
      expect(statuses).toEqual([await store.quotas.status(ASSIGNMENT)])
    })
  })
}

async function all<T>(pages: AsyncIterable<readonly T[]>): Promise<readonly T[]> {
  const found: T[] = []
  for await (const page of pages) found.push(...page)
  return found
}
