import { hash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { ApiKeyId, MeterKey, QuotaKey, SubjectId, TenantId } from '../../src/id/ids.ts'
import type { KeyState } from '../../src/provision/key-state.ts'
import type { KeyRequest } from '../../src/provision/mint.ts'
import type { Verification } from '../../src/provision/key-table.ts'
import { parsePermission, type PermissionQuery } from '../../src/provision/permission.ts'
import { ACME, aQuota, at, type Gate, openGate, TENANT, TOKENS } from '../support/gate.ts'

async function aKey(
  gate: Gate,
  request: Partial<KeyRequest> = {},
): Promise<{ key: string; state: KeyState }> {
  const outcome = await gate.keyring.mint({ tenant: TENANT, name: 'test', scopes: [], ...request })
  if (outcome.kind !== 'minted') throw new Error(outcome.detail)
  return outcome
}
const verify = (gate: Gate, key: string, permission: string | null = null): Verification =>
  gate.table.verify({ tenant: TENANT, key, permission: permission === null ? null : queryOf(permission) })
const queryOf = (text: string): PermissionQuery => {
  const parsed = parsePermission(text)
  if (parsed.kind === 'fault') throw new Error(parsed.detail)
  return parsed.query
}
const codeOf = (found: Verification): string => (found.valid ? 'valid' : found.refusal.code)
const use = async (gate: Gate, quantity: bigint, time = gate.now, subject = 'a'): Promise<void> => {
  gate.usage.push([subject, time, quantity])
  await gate.quotas.evaluateAll()
}

describe('keys', () => {
  it('I1: a minted key is valid at once and its state holds no part of it but the hint', async () => {
    const gate = openGate()
    const { key, state } = await aKey(gate, { customer: ACME, scopes: ['ingest'] })
    expect(verify(gate, key)).toMatchObject({ valid: true, customer: ACME, keyId: state.keyId })
    expect(JSON.stringify(gate.store.published)).not.toContain(key.slice(8))
    expect(gate.table.authenticate(key)).toEqual({
      kind: 'authenticated',
      principal: { tenant: TENANT, keyId: state.keyId, scopes: ['ingest'] },
    })
  })

  it('I2: garbled, unknown, revoked and expired keys are refused with 401, in this order', async () => {
    const gate = openGate()
    const { key, state } = await aKey(gate, { expiresAt: at('2023-11-16T00:00:00Z') })
    expect(codeOf(verify(gate, key.slice(0, -1) + (key.endsWith('a') ? 'b' : 'a')))).toBe('malformedKey')
    const other = openGate()
    expect(codeOf(verify(other, key))).toBe('unknownKey')
    expect(other.table.authenticate(key)).toMatchObject({ kind: 'refused', status: 401, code: 'unknownKey' })
    gate.now = at('2023-11-15T23:59:59.999Z')
    expect(codeOf(verify(gate, key))).toBe('valid')
    gate.now = at('2023-11-16T00:00:00Z')
    expect(verify(gate, key)).toMatchObject({
      valid: false,
      refusal: { code: 'expiredKey', status: 401, retryAfterSeconds: null },
    })
    await gate.keyring.revoke(TENANT, state.keyId)
    expect(verify(gate, key)).toMatchObject({ valid: false, refusal: { code: 'revokedKey', status: 401 } })
  })

  it('I3: a key of another tenant is unknown', async () => {
    const gate = openGate()
    const { key } = await aKey(gate)
    expect(codeOf(gate.table.verify({ tenant: 'ten_2' as TenantId, key, permission: null }))).toBe(
      'unknownKey',
    )
  })

  it('permissions: its own, and read and ingest by admin', async () => {
    const gate = openGate()
    const { key } = await aKey(gate, { scopes: ['chat.write'] })
    const admin = await aKey(gate, { scopes: ['admin'] })
    expect(codeOf(verify(gate, key, 'chat.write'))).toBe('valid')
    expect(verify(gate, key, 'chat.read')).toMatchObject({
      refusal: { code: 'insufficientPermission', status: 403 },
    })
    expect(codeOf(verify(gate, admin.key, 'ingest'))).toBe('valid')
    expect(codeOf(verify(gate, admin.key, 'chat.write'))).toBe('insufficientPermission')
  })

  it('rotation: both keys are valid for the overlap, then only the new one', async () => {
    const gate = openGate()
    const first = await aKey(gate, { customer: ACME })
    const rotated = await gate.keyring.rotate(TENANT, first.state.keyId, 60_000)
    if (rotated.kind !== 'rotated') throw new Error(rotated.kind)
    expect([codeOf(verify(gate, first.key)), codeOf(verify(gate, rotated.key))]).toEqual(['valid', 'valid'])
    expect(gate.keyring.conditionOf(rotated.predecessor)).toBe('rotating')
    gate.now = at('2023-11-15T12:01:00Z')
    expect([codeOf(verify(gate, first.key)), codeOf(verify(gate, rotated.key))]).toEqual([
      'expiredKey',
      'valid',
    ])
    expect(await gate.keyring.rotate(TENANT, first.state.keyId, 0)).toEqual({
      kind: 'alreadyRotated',
      to: rotated.state.keyId,
    })
  })

  it('I5: rotation is no way out of a suspension', async () => {
    const gate = openGate()
    const { state } = await aKey(gate, { customer: ACME })
    await gate.keyring.suspend(TENANT, state.keyId, {
      kind: 'leak',
      reason: 'found on a public page',
      by: 'scan',
    })
    const rotated = await gate.keyring.rotate(TENANT, state.keyId, 60_000)
    if (rotated.kind !== 'rotated') throw new Error(rotated.kind)
    expect(verify(gate, rotated.key)).toMatchObject({ refusal: { code: 'keySuspended', status: 403 } })
  })

  it('a revoked key stays revoked: it cannot be rotated, suspended or revoked to another time', async () => {
    const gate = openGate()
    const { state } = await aKey(gate)
    const revoked = await gate.keyring.revoke(TENANT, state.keyId)
    gate.now = at('2023-11-20T00:00:00Z')
    expect(await gate.keyring.revoke(TENANT, state.keyId)).toEqual({
      kind: 'unchanged',
      state: (revoked as { state: KeyState }).state,
    })
    expect(await gate.keyring.rotate(TENANT, state.keyId, 0)).toEqual({ kind: 'revoked' })
    const suspended = await gate.keyring.suspend(TENANT, state.keyId, { kind: 'admin', reason: 'x', by: 'y' })
    expect(suspended.kind).toBe('revoked')
    expect(await gate.keyring.revoke(TENANT, 'key_none' as ApiKeyId)).toEqual({ kind: 'unknown' })
  })

  it.each([
    [{ quotas: [TOKENS] }, 'holderMissing', '/quotas'],
    [{ customer: 'nobody' as typeof ACME }, 'unknownCustomer', '/customer'],
    [{ customer: ACME, subject: 'z' as SubjectId }, 'unknownSubject', '/subject'],
    [{ customer: ACME, quotas: ['none' as QuotaKey] }, 'unknownQuota', '/quotas/0'],
    [{ expiresAt: at('2023-11-15T12:00:00Z') }, 'expiryPast', '/expiresAt'],
  ] as const)('refuses to mint %j: %s', async (request, code, pointer) => {
    const outcome = await openGate().keyring.mint({ tenant: TENANT, name: 'x', scopes: [], ...request })
    expect(outcome).toMatchObject({ kind: 'refused', code, pointer })
  })

  it('a key is pending before its time, and waiting helps', async () => {
    const gate = openGate()
    const { key, state } = await aKey(gate, { notBefore: at('2023-11-15T12:00:30Z') })
    expect(gate.keyring.conditionOf(state)).toBe('pending')
    expect(verify(gate, key)).toMatchObject({
      refusal: { code: 'notYetValidKey', status: 401, retryAfterSeconds: 30 },
    })
    gate.now = at('2023-11-15T12:00:30Z')
    expect(codeOf(verify(gate, key))).toBe('valid')
  })

  it('a key that is bound to addresses is refused elsewhere, and where nobody tells the address', async () => {
    const gate = openGate()
    const { key } = await aKey(gate, { ipRanges: ['203.0.113.0/24', '2001:db8::/32'], scopes: ['ingest'] })
    const from = (address: string | null): string =>
      codeOf(gate.table.verify({ tenant: TENANT, key, permission: null, from: address }))
    expect(
      ['203.0.113.9', '::ffff:203.0.113.9', '2001:db8::1', '203.0.114.1', 'nonsense', null].map(from),
    ).toEqual(['valid', 'valid', 'valid', 'addressNotAllowed', 'addressNotAllowed', 'addressNotAllowed'])
    expect(gate.table.authenticate(key)).toMatchObject({ status: 403, code: 'addressNotAllowed' })
    expect(gate.table.authenticate(key, '203.0.113.9').kind).toBe('authenticated')
  })

  it('a key that was made elsewhere is known by its hash, whatever it looks like', async () => {
    const gate = openGate()
    const foreign = 'sk-other-vendor-0123456789'
    const imported = { hash: hash('sha256', foreign, 'base64url'), hint: 'sk-…6789' }
    const request = { tenant: TENANT, name: 'moved', scopes: [], customer: ACME }
    expect(codeOf(verify(gate, foreign))).toBe('malformedKey')
    expect(await gate.keyring.import(request, imported)).toMatchObject({ kind: 'imported' })
    expect(verify(gate, foreign)).toMatchObject({ valid: true, customer: ACME })
    expect(await gate.keyring.import(request, imported)).toMatchObject({
      kind: 'refused',
      code: 'hashTaken',
      pointer: '/hash',
    })
  })

  it('a test key says so in its form and in every decision', async () => {
    const gate = openGate()
    const { key } = await aKey(gate, { environment: 'test' })
    expect(key).toMatch(/^tm_test_/)
    expect(verify(gate, key)).toMatchObject({ valid: true, environment: 'test' })
  })

  it('I6: of two states the higher version wins, in any order and however often', async () => {
    const gate = openGate()
    const { key, state } = await aKey(gate)
    await gate.keyring.revoke(TENANT, state.keyId)
    gate.table.apply(state)
    expect(codeOf(verify(gate, key))).toBe('revokedKey')
  })
})

describe('rates', () => {
  it('lets a burst through, then the rate; a refused request costs nothing', async () => {
    const gate = openGate()
    const { key } = await aKey(gate, { rate: { requestsPerSecond: 2, burst: 3 } })
    const answers = () => codeOf(verify(gate, key))
    expect([answers(), answers(), answers(), answers(), answers()]).toEqual([
      'valid',
      'valid',
      'valid',
      'rateLimited',
      'rateLimited',
    ])
    gate.monotonicMs = 499
    expect(verify(gate, key)).toMatchObject({ refusal: { status: 429, retryAfterSeconds: 1 } })
    gate.monotonicMs = 500
    expect([answers(), answers()]).toEqual(['valid', 'rateLimited'])
    gate.monotonicMs = 100_000
    expect(verify(gate, key)).toMatchObject({ valid: true, requestsRemaining: 2 })
  })
})

describe('several limits on one request', () => {
  it('spend all rates or none: what one refuses costs nothing at the other', async () => {
    const gate = openGate()
    const ladder = [{ at: '1', action: 'throttle', requestsPerSecond: 1 }] as const
    await gate.store.quotas.put(aQuota({ ladder }), gate.now)
    const rate = { requestsPerSecond: 1, burst: 2 }
    const { key } = await aKey(gate, { customer: ACME, quotas: [TOKENS], rate })
    await use(gate, 200_000n)
    expect(codeOf(verify(gate, key))).toBe('valid')
    const refused = verify(gate, key)
    expect(refused).toMatchObject({
      refusal: { code: 'rateLimited', policy: TOKENS },
      rates: [
        { name: 'rps', remaining: 0 },
        { name: TOKENS, remaining: 0 },
      ],
    })
    gate.monotonicMs = 1000
    expect(verify(gate, key)).toMatchObject({ valid: true, rates: [{ remaining: 1 }, { remaining: 0 }] })
  })

  it('I9: of several quotas that are used up the one counts that lasts longest', async () => {
    const gate = openGate()
    await gate.store.quotas.put(aQuota({ limit: '10' }), gate.now)
    const prepaid = 'credits' as QuotaKey
    await gate.store.quotas.put(aQuota({ key: prepaid, limit: '10', period: 'prepaid' }), gate.now)
    const daily = 'daily' as QuotaKey
    await gate.store.quotas.put(aQuota({ key: daily, limit: '10', period: 'day' }), gate.now)
    const two = await aKey(gate, { customer: ACME, quotas: [daily, TOKENS] })
    const three = await aKey(gate, { customer: ACME, quotas: [daily, TOKENS, prepaid] })
    await use(gate, 10n)
    expect(verify(gate, two.key)).toMatchObject({
      refusal: { status: 429, quota: { quota: TOKENS, resetAt: at('2023-12-01T00:00:00Z') } },
    })
    expect(verify(gate, three.key)).toMatchObject({
      refusal: { code: 'creditsExhausted', status: 402, retryAfterSeconds: null, quota: { quota: prepaid } },
    })
  })

  it('a rotated key and its successor share one rate', async () => {
    const gate = openGate()
    const { key, state } = await aKey(gate, { rate: { requestsPerSecond: 1, burst: 2 } })
    const rotated = await gate.keyring.rotate(TENANT, state.keyId, 60_000)
    if (rotated.kind !== 'rotated') throw new Error(rotated.kind)
    expect([key, rotated.key, key].map((one) => codeOf(verify(gate, one)))).toEqual([
      'valid',
      'valid',
      'rateLimited',
    ])
  })
})

describe('an observed quota', () => {
  it('the month of the demonstration: told at 80 %, suspended at 100 %, open again in December', async () => {
    const gate = openGate()
    await gate.store.quotas.put(aQuota(), gate.now)
    const { key, state } = await aKey(gate, { customer: ACME, quotas: [TOKENS] })
    expect(verify(gate, key)).toMatchObject({ valid: true, quotas: [{ remaining: '200000', used: '0' }] })

    await use(gate, 159_999n)
    expect(codeOf(verify(gate, key))).toBe('valid')
    const holder = { kind: 'customer', id: ACME } as const
    const assignment = { tenant: TENANT, quotaKey: TOKENS, holder }
    expect(await gate.store.quotas.notices(assignment, '2023-11')).toEqual([])

    await use(gate, 1n)
    expect(codeOf(verify(gate, key))).toBe('valid')
    expect(await gate.store.quotas.notices(assignment, '2023-11')).toMatchObject([
      { rung: '0.8 notify', used: '160000' },
    ])

    await use(gate, 85_896n, gate.now, 'b')
    const found = verify(gate, key)
    expect(found).toMatchObject({
      valid: false,
      customer: ACME,
      refusal: {
        code: 'quotaExceeded',
        status: 429,
        quota: {
          quota: TOKENS,
          limit: '200000',
          used: '245896',
          remaining: '0',
          resetAt: at('2023-12-01T00:00:00Z'),
        },
        causes: [{ kind: 'quota', quotaKey: TOKENS, epoch: '2023-11' }],
        retryAfterSeconds: (at('2023-12-01T00:00:00Z') - gate.now) / 1000,
      },
    })
    expect(found.valid ? '' : found.refusal.detail).toBe(
      'The quota "output-tokens" is used up: 245896 of 200000 tokens of customer "acme" in 2023-11; it resets at 2023-12-01T00:00:00Z.',
    )
    expect(gate.table.authenticate(key)).toMatchObject({ kind: 'refused', status: 403, code: 'keySuspended' })
    expect(await gate.store.keys.get(TENANT, state.keyId)).toMatchObject({ causes: [{ kind: 'quota' }] })

    // The turn of the month opens the gate by itself; the tick drops the cause and tells it once.
    gate.now = at('2023-12-01T00:00:00Z')
    expect(codeOf(verify(gate, key))).toBe('valid')
    await gate.quotas.tick()
    await gate.quotas.tick()
    expect(await gate.store.keys.get(TENANT, state.keyId)).toMatchObject({ causes: [] })
    expect(await gate.store.quotas.notices(assignment, '2023-12')).toMatchObject([{ kind: 'restored' }])
    expect(verify(gate, key)).toMatchObject({ valid: true, quotas: [{ used: '0', epoch: '2023-12' }] })
  })

  it('I7: evaluating again changes nothing: no version, no notice, nothing published', async () => {
    const gate = openGate()
    await gate.store.quotas.put(aQuota(), gate.now)
    await aKey(gate, { customer: ACME, quotas: [TOKENS] })
    await use(gate, 300_000n)
    const published = gate.store.published.length
    gate.now = at('2023-11-15T13:00:00Z')
    await Promise.all([gate.quotas.evaluateAll(), gate.quotas.evaluateAll(), gate.quotas.tick()])
    expect(gate.store.published).toHaveLength(published)
  })

  it('I5: the turn of a period clears the cause of the quota and no other', async () => {
    const gate = openGate()
    await gate.store.quotas.put(aQuota(), gate.now)
    const { key, state } = await aKey(gate, { customer: ACME, quotas: [TOKENS] })
    await use(gate, 300_000n)
    await gate.keyring.suspend(TENANT, state.keyId, { kind: 'admin', by: 'ops', reason: 'unpaid' })
    gate.now = at('2023-12-01T00:00:00Z')
    await gate.quotas.tick()
    expect(verify(gate, key)).toMatchObject({
      refusal: { code: 'keySuspended', detail: expect.stringContaining('by ops: unpaid') as string },
    })
    await gate.keyring.resume(TENANT, state.keyId, 'admin')
    expect(codeOf(verify(gate, key))).toBe('valid')
  })

  it('I5: lifting an administrator’s suspension leaves the quota’s', async () => {
    const gate = openGate()
    await gate.store.quotas.put(aQuota(), gate.now)
    const { key, state } = await aKey(gate, { customer: ACME, quotas: [TOKENS] })
    await gate.keyring.suspend(TENANT, state.keyId, { kind: 'admin', by: 'ops', reason: 'unpaid' })
    await use(gate, 300_000n)
    await gate.keyring.resume(TENANT, state.keyId, 'admin')
    expect(codeOf(verify(gate, key))).toBe('quotaExceeded')
  })

  it('a top-up opens the gate, is counted once, and ends with its epoch', async () => {
    const gate = openGate()
    await gate.store.quotas.put(aQuota(), gate.now)
    const { key } = await aKey(gate, { customer: ACME, quotas: [TOKENS] })
    await use(gate, 200_000n)
    expect(codeOf(verify(gate, key))).toBe('quotaExceeded')
    const topUp = {
      id: 'order-1',
      assignment: { tenant: TENANT, quotaKey: TOKENS, holder: { kind: 'customer', id: ACME } },
      epoch: '2023-11',
      units: '50000',
      at: gate.now,
    } as const
    expect(await gate.store.quotas.topUp(topUp)).toEqual({ kind: 'added' })
    expect(await gate.store.quotas.topUp(topUp)).toEqual({ kind: 'repeated' })
    await gate.quotas.evaluate([topUp.assignment])
    expect(verify(gate, key)).toMatchObject({
      valid: true,
      quotas: [{ limit: '250000', remaining: '50000' }],
    })
    await use(gate, 50_000n)
    expect(codeOf(verify(gate, key))).toBe('quotaExceeded')
    gate.now = at('2023-12-02T00:00:00Z')
    await gate.quotas.tick()
    expect(verify(gate, key)).toMatchObject({ quotas: [{ limit: '200000', remaining: '200000' }] })
  })

  it('a raised limit opens the gate, a lowered one shuts it; each return is told once', async () => {
    const gate = openGate()
    const { store, quotas } = gate
    await store.quotas.put(aQuota(), gate.now)
    const { key } = await aKey(gate, { customer: ACME, quotas: [TOKENS] })
    await use(gate, 200_000n)
    await store.quotas.put(aQuota({ limit: '400000' }), gate.now)
    await quotas.evaluateAll()
    expect(codeOf(verify(gate, key))).toBe('valid')
    await store.quotas.put(aQuota({ limit: '100000' }), gate.now)
    await quotas.evaluateAll()
    expect(codeOf(verify(gate, key))).toBe('quotaExceeded')
    const assignment = { tenant: TENANT, quotaKey: TOKENS, holder: { kind: 'customer', id: ACME } } as const
    const told = await store.quotas.notices(assignment, '2023-11')
    expect(told.map((notice) => notice.rung ?? notice.kind)).toEqual(['0.8 notify', '1 suspend', 'restored'])
  })

  it('a correction downwards opens the gate: the figure is the whole, never a sum of differences', async () => {
    const gate = openGate()
    await gate.store.quotas.put(aQuota(), gate.now)
    const { key } = await aKey(gate, { customer: ACME, quotas: [TOKENS] })
    await use(gate, 200_000n)
    await use(gate, -50_000n)
    expect(verify(gate, key)).toMatchObject({ valid: true, quotas: [{ used: '150000' }] })
  })

  it('a new key of a holder that is shut out is shut out too', async () => {
    const gate = openGate()
    await gate.store.quotas.put(aQuota(), gate.now)
    await aKey(gate, { customer: ACME, quotas: [TOKENS] })
    await use(gate, 200_000n)
    const second = await aKey(gate, { customer: ACME, quotas: [TOKENS] })
    expect(codeOf(verify(gate, second.key))).toBe('quotaExceeded')
    const free = await aKey(gate, { customer: ACME })
    expect(codeOf(verify(gate, free.key))).toBe('valid')
  })

  it('counts one subject where the key has one, and all of the customer where it has none', async () => {
    const gate = openGate()
    await gate.store.quotas.put(aQuota({ limit: '100' }), gate.now)
    const ofA = await aKey(gate, { customer: ACME, subject: 'a' as SubjectId, quotas: [TOKENS] })
    const ofAll = await aKey(gate, { customer: ACME, quotas: [TOKENS] })
    await use(gate, 60n, gate.now, 'b')
    await use(gate, 50n, gate.now, 'a')
    expect(verify(gate, ofA.key)).toMatchObject({ valid: true, quotas: [{ used: '50' }] })
    expect(verify(gate, ofAll.key)).toMatchObject({ valid: false, quotas: [{ used: '110' }] })
  })

  it('a block refuses requests but leaves the API open for telling usage', async () => {
    const gate = openGate()
    await gate.store.quotas.put(aQuota({ ladder: [{ at: '1', action: 'block' }] }), gate.now)
    const { key, state } = await aKey(gate, { customer: ACME, quotas: [TOKENS], scopes: ['ingest'] })
    await use(gate, 200_000n)
    expect(codeOf(verify(gate, key))).toBe('quotaExceeded')
    expect(gate.table.authenticate(key).kind).toBe('authenticated')
    expect(gate.keyring.conditionOf(state)).toBe('active')
  })

  it('overage and grace stay open; throttle limits the rate of the holder; revoke is for good', async () => {
    const open = async (ladder: Parameters<typeof aQuota>[0]) => {
      const gate = openGate()
      await gate.store.quotas.put(aQuota(ladder), gate.now)
      const { key } = await aKey(gate, { customer: ACME, quotas: [TOKENS] })
      await use(gate, 200_000n)
      return { gate, key }
    }
    const overage = await open({ ladder: [{ at: '1', action: 'overage' }] })
    expect(codeOf(verify(overage.gate, overage.key))).toBe('valid')

    const grace = await open({ ladder: [{ at: '1', action: 'grace', graceSeconds: 60 }] })
    expect(codeOf(verify(grace.gate, grace.key))).toBe('valid')
    grace.gate.now = at('2023-11-15T12:01:00Z')
    await grace.gate.quotas.tick()
    expect(codeOf(verify(grace.gate, grace.key))).toBe('quotaExceeded')

    const throttle = await open({ ladder: [{ at: '1', action: 'throttle', requestsPerSecond: 1 }] })
    const second = await aKey(throttle.gate, { customer: ACME, quotas: [TOKENS] })
    expect(codeOf(verify(throttle.gate, throttle.key))).toBe('valid')
    expect(codeOf(verify(throttle.gate, second.key))).toBe('rateLimited')

    const revoke = await open({ ladder: [{ at: '1', action: 'revoke' }] })
    expect(codeOf(verify(revoke.gate, revoke.key))).toBe('revokedKey')
    revoke.gate.now = at('2023-12-01T00:00:00Z')
    await revoke.gate.quotas.tick()
    expect(codeOf(verify(revoke.gate, revoke.key))).toBe('revokedKey')
  })

  it('periods are cut in the customer’s zone and by the customer’s clock', async () => {
    const gate = openGate({ timezone: 'Europe/Berlin', now: '2026-06-01T00:00:00Z' })
    gate.testClocks.set(ACME, at('2023-11-30T22:59:59Z'))
    await gate.store.quotas.put(aQuota(), gate.now)
    const { key } = await aKey(gate, { customer: ACME, quotas: [TOKENS] })
    await use(gate, 200_000n, at('2023-11-10T00:00:00Z'))
    expect(gate.usageQueries.at(-1)).toEqual({
      start: at('2023-10-31T23:00:00Z'),
      end: at('2023-11-30T23:00:00Z'),
    })
    expect(codeOf(verify(gate, key))).toBe('quotaExceeded')
    gate.testClocks.set(ACME, at('2023-11-30T23:00:00Z'))
    expect(codeOf(verify(gate, key))).toBe('valid')
    await gate.quotas.tick()
    expect(verify(gate, key)).toMatchObject({ quotas: [{ epoch: '2023-12', used: '0' }] })
  })

  it('a prepaid quota that is used up is answered 402, without a time to wait', async () => {
    const gate = openGate()
    await gate.store.quotas.put(aQuota({ period: 'prepaid', limit: '10' }), gate.now)
    const { key } = await aKey(gate, { customer: ACME, quotas: [TOKENS] })
    await use(gate, 10n)
    expect(verify(gate, key)).toMatchObject({
      refusal: { code: 'creditsExhausted', status: 402, retryAfterSeconds: null },
    })
  })

  it('a clock that is a little behind does not turn the period back', async () => {
    const gate = openGate({ now: '2023-11-30T23:59:59Z' })
    await gate.store.quotas.put(aQuota(), gate.now)
    const { key } = await aKey(gate, { customer: ACME, quotas: [TOKENS] })
    await use(gate, 200_000n)
    gate.now = at('2023-12-01T00:00:00.010Z')
    await gate.quotas.tick()
    const published = gate.store.published.length
    gate.now = at('2023-11-30T23:59:59.990Z')
    await gate.quotas.evaluateAll()
    expect(gate.store.published).toHaveLength(published)
    expect(codeOf(verify(gate, key))).toBe('valid')
  })

  it('a quota without a meter, or a leased one, is left alone', async () => {
    const gate = openGate()
    await gate.store.quotas.put(aQuota({ mode: 'leased' }), gate.now)
    await gate.store.quotas.put(aQuota({ key: 'other' as QuotaKey, meter: null }), gate.now)
    await aKey(gate, { customer: ACME, quotas: [TOKENS, 'other' as QuotaKey] })
    await gate.quotas.evaluateAll()
    expect(gate.usageQueries).toEqual([])
    expect('output_tokens' as MeterKey).toBe(aQuota().meter)
  })
})
