import { refusalResponse } from './fetch.ts'
import { endUnsettled, type GateOutcome, guarded, type GuardOptions } from './gate.ts'

/** What the middleware needs of Hono's context. */
export interface HonoContext {
  readonly req: { readonly raw: Request; header(name: string): string | undefined }
  readonly res: Response
  readonly error: Error | undefined
  header(name: string, value: string): void
  set(name: 'gate', outcome: GateOutcome): void
}

/** Hono middleware: `app.use('/v1/*', guardHono({ gate }))`. The outcome is `c.get('gate')`. */
export function guardHono<Context extends HonoContext>(options: GuardOptions<Context>) {
  return async (c: Context, next: () => Promise<void>): Promise<Response | undefined> => {
    const outcome = await options.gate.check(guarded(options, c, (name) => c.req.header(name)))
    if (!outcome.isAllowed) return refusalResponse(outcome.answer)
    c.set('gate', outcome)
    await next()
    const { headers } = outcome.answer
    for (const name in headers) c.header(name, headers[name] ?? '')
    await endUnsettled(outcome, c.error === undefined ? c.res.status : 500)
    return undefined
  }
}
