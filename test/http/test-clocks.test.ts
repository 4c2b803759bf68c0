import { describe, expect, it } from 'vitest'
import { openControlApi } from '../support/control-api.ts'
import { at } from '../support/gate.ts'

describe('/v1/test-clocks', () => {
  it('makes a clock: with its own id and time, or with ours', async () => {
    const control = openControlApi()
    const made = await control.call('POST', '/v1/test-clocks', { now: '2023-11-30T23:00:00Z' })
    expect(made.status).toBe(201)
    expect(made.body).toEqual({
      id: 'clk_1',
      now: '2023-11-30T23:00:00Z',
      createdAt: '2026-03-10T12:00:00Z',
    })
    expect(made.headers.get('location')).toBe('/v1/test-clocks/clk_1')
    expect(control.settled).toBe(1)
    const bare = await control.call('POST', '/v1/test-clocks')
    expect(bare.body).toMatchObject({ id: 'clk_2', now: '2026-03-10T12:00:00Z' })
    const own = await control.call('POST', '/v1/test-clocks', { id: 'mine' })
    expect(own.body).toMatchObject({ id: 'mine' })
    expect((await control.call('GET', '/v1/test-clocks/mine')).body).toEqual(own.body)
    expect((await control.call('GET', '/v1/test-clocks')).body).toMatchObject({
      data: [{ id: 'clk_1' }, { id: 'clk_2' }, { id: 'mine' }],
      hasMore: false,
    })
  })

  it('advances, settles, and answers the time; the same time again is allowed', async () => {
    const control = openControlApi()
    await control.call('POST', '/v1/test-clocks', { id: 'clk', now: '2023-11-30T23:00:00Z' })
    control.settled = 0
    const to = '2023-12-01T01:30:00Z'
    for (let n = 0; n < 2; n++) {
      const answer = await control.call('POST', '/v1/test-clocks/clk/advance', { to })
      expect([answer.status, answer.body['now']]).toEqual([200, to])
    }
    expect(control.advanced).toEqual([
      { id: 'clk', to: at(to) },
      { id: 'clk', to: at(to) },
    ])
    expect(control.settled).toBe(2)
  })

  it('clockNeverGoesBack: 409 at /to, with what it shows', async () => {
    const control = openControlApi()
    await control.call('POST', '/v1/test-clocks', { id: 'clk', now: '2023-11-30T23:00:00Z' })
    const answer = await control.call('POST', '/v1/test-clocks/clk/advance', {
      to: '2023-11-30T22:59:59Z',
    })
    expect([answer.status, answer.body['code']]).toEqual([409, 'clockNeverGoesBack'])
    expect(answer.body).toMatchObject({ now: '2023-11-30T23:00:00Z', errors: [{ pointer: '/to' }] })
    expect(control.advanced).toEqual([])
  })

  it('testClockExists: 409 at /id', async () => {
    const { call } = openControlApi()
    await call('POST', '/v1/test-clocks', { id: 'clk' })
    const answer = await call('POST', '/v1/test-clocks', { id: 'clk' })
    expect([answer.status, answer.body['code']]).toEqual([409, 'testClockExists'])
    expect(answer.body['errors']).toMatchObject([{ pointer: '/id' }])
  })

  it('unknownTestClock: 404, also for one of another tenant', async () => {
    const { call } = openControlApi()
    await call('POST', '/v1/test-clocks', { id: 'clk' })
    for (const [id, key] of [
      ['none', 'admin'],
      ['clk', 'other'],
    ] as const) {
      const to = '2030-01-01T00:00:00Z'
      const answers = [
        await call('GET', `/v1/test-clocks/${id}`, undefined, { key }),
        await call('POST', `/v1/test-clocks/${id}/advance`, { to }, { key }),
      ]
      for (const { status, body } of answers) {
        expect([status, body['code']]).toEqual([404, 'unknownTestClock'])
      }
    }
  })

  it.each([
    ['', { now: 'today' }, '/now'],
    ['', { now: 1_700_000_000 }, '/now'],
    ['', { id: 'a b' }, '/id'],
    ['', { time: '2023-11-30T23:00:00Z' }, '/time'],
    ['', [], ''],
    ['/clk/advance', {}, '/to'],
    ['/clk/advance', { to: '2023-13-01T00:00:00Z' }, '/to'],
    ['/clk/advance', { to: null }, '/to'],
  ])('POST /v1/test-clocks%s %o: 400 at %s', async (path, body, pointer) => {
    const { call } = openControlApi()
    const answer = await call('POST', `/v1/test-clocks${path}`, body)
    expect(answer.status).toBe(400)
    expect(answer.body['errors']).toMatchObject([{ pointer }])
  })
})
