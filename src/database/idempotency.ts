import { type Kysely, sql } from 'kysely'
import type { TenantId } from '../id/ids.ts'
import { type Instant, instantOf } from '../time/instant.ts'
import type { Schema } from './schema.ts'

/** What one Idempotency-Key stands for: the same key on another route or of another tenant is another one. */
interface CommandName {
  readonly tenant: TenantId
  readonly route: string
  /** A hash of what the client sent. */
  readonly key: string
}

/** A command that runs under its key. Of several attempts only the newest may complete. */
interface RunningCommand extends CommandName {
  readonly attempt: number
}

type Claim =
  | {
      readonly kind: 'run'
      readonly command: RunningCommand
      /** When the key was first used; the same for every attempt. */
      readonly firstAt: Instant
    }
  | { readonly kind: 'replay'; readonly status: number; readonly answer: Uint8Array }
  /** The key was used for another request. */
  | { readonly kind: 'conflict' }
  | { readonly kind: 'running'; readonly until: Instant }

interface IdempotencyOptions {
  /** For how long a process that runs a command is believed to live without saying so. */
  readonly lockMs?: number
  /** For how long answers are kept at least. */
  readonly keptMs?: number
}

const LOCK_MS = 30_000
const KEPT_MS = 24 * 3_600_000
/** Rows removed by one statement, so that it holds its locks for milliseconds. */
const removeBatchMax = 1000

/** Which commands ran under which keys, and what they were answered. */
export function createIdempotencyStore(
  db: Kysely<Schema>,
  { lockMs = LOCK_MS, keptMs = KEPT_MS }: IdempotencyOptions = {},
) {
  const lockedUntil = (now: Instant): Date => new Date(now + lockMs)

  return {
    /**
     * One of all requests under the key gets `run`. A request whose process died, or that failed by a fault of ours,
     * may be run again by a repeat once its lock is over.
     */
    async claim(name: CommandName, fingerprint: string, now: Instant): Promise<Claim> {
      for (;;) {
        const ours = await db
          .insertInto('idempotency_keys')
          .values({
            ...name,
            fingerprint,
            attempt: 1,
            status: null,
            answer: null,
            locked_until: lockedUntil(now),
            created_at: new Date(now),
          })
          .onConflict((conflict) =>
            conflict
              .columns(['tenant', 'route', 'key'])
              .doUpdateSet({
                attempt: sql<number>`idempotency_keys.attempt + 1`,
                locked_until: lockedUntil(now),
              })
              .where('idempotency_keys.status', 'is', null)
              .where('idempotency_keys.locked_until', '<=', new Date(now))
              .where('idempotency_keys.fingerprint', '=', fingerprint),
          )
          .returning(['attempt', 'created_at'])
          .executeTakeFirst()
        if (ours !== undefined) {
          const { attempt, created_at } = ours
          return {
            kind: 'run',
            command: { ...name, attempt },
            firstAt: instantOf(created_at.getTime()),
          }
        }
        const theirs = await db
          .selectFrom('idempotency_keys')
          .select(['fingerprint', 'status', 'answer', 'locked_until'])
          .where('tenant', '=', name.tenant)
          .where('route', '=', name.route)
          .where('key', '=', name.key)
          .executeTakeFirst()
        // It was removed as expired between the two statements: the key is free.
        if (theirs === undefined) continue
        if (theirs.fingerprint !== fingerprint) return { kind: 'conflict' }
        const { status, answer, locked_until } = theirs
        if (status === null || answer === null) {
          return { kind: 'running', until: instantOf(locked_until.getTime()) }
        }
        return { kind: 'replay', status, answer }
      }
    },

    /** Says that the command still runs. False: it has been given to another. */
    extend: (command: RunningCommand, now: Instant): Promise<boolean> =>
      change(command, { locked_until: lockedUntil(now) }),

    /** Keeps the answer. False: the command has been given to another, whose answer counts. */
    complete: (command: RunningCommand, status: number, answer: Uint8Array): Promise<boolean> =>
      change(command, { status, answer: Buffer.from(answer) }),

    /** Lets a repeat run it again at once, as a further attempt of the same command. */
    abandon: (command: RunningCommand, now: Instant): Promise<boolean> =>
      change(command, { locked_until: new Date(now) }),

    /** Removes what is older than answers are kept, and answers how many there were. */
    async removeExpired(now: Instant): Promise<number> {
      let removed = 0
      for (;;) {
        const answer = await sql`
          delete from idempotency_keys where ctid in (
            select ctid from idempotency_keys
            where created_at <= ${new Date(now - keptMs)} and locked_until <= ${new Date(now)}
            order by created_at limit ${removeBatchMax} for update skip locked)`.execute(db)
        const count = Number(answer.numAffectedRows ?? 0n)
        removed += count
        if (count < removeBatchMax) return removed
      }
    },
  }

  async function change(
    { tenant, route, key, attempt }: RunningCommand,
    to: { readonly locked_until: Date } | { readonly status: number; readonly answer: Buffer },
  ): Promise<boolean> {
    const row = await db
      .updateTable('idempotency_keys')
      .set(to)
      .where('tenant', '=', tenant)
      .where('route', '=', route)
      .where('key', '=', key)
      .where('attempt', '=', attempt)
      .where('status', 'is', null)
      .returning('attempt')
      .executeTakeFirst()
    return row !== undefined
  }
}
