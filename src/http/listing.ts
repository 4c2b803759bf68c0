import { z } from '@hono/zod-openapi'
import type { Page, PageRequest } from '../id/page.ts'
import { isResourceKey } from '../id/resource-key.ts'
import { ProblemError } from './problem.ts'

const LIMIT_MAX = 100

/** A whole number in a query, in plain digits. */
export function wholeNumber(least: number, most: number) {
  return z
    .string()
    .refine(
      (text) => /^\d{1,10}$/.test(text) && Number(text) >= least && Number(text) <= most,
      `must be a whole number from ${least} to ${most}`,
    )
    .transform(Number)
    .openapi({ type: 'integer', minimum: least, maximum: most })
}

/** The query parameters that every list has. */
export const pageQuery = {
  limit: wholeNumber(1, LIMIT_MAX)
    .optional()
    .openapi({ type: 'integer', minimum: 1, maximum: LIMIT_MAX, default: LIMIT_MAX }),
  cursor: z.string().max(256).optional().openapi({ description: 'The `nextCursor` of the page before.' }),
}

export function pageShape<Shape extends z.ZodType>(item: Shape) {
  return z.object({
    data: z.array(item),
    nextCursor: z.string().nullable(),
    hasMore: z.boolean(),
  })
}

/**
 * @param isName what items of the list are named by
 * @throws ProblemError 400 for a cursor that no list gave out
 */
export function pageRequest(
  {
    limit = LIMIT_MAX,
    cursor,
  }: { readonly limit?: number | undefined; readonly cursor?: string | undefined },
  isName: (text: string) => boolean = isResourceKey,
): PageRequest {
  if (cursor === undefined) return { limit, after: null }
  const after = Buffer.from(cursor, 'base64url').toString('utf8')
  if (isName(after) && cursorOf(after) === cursor) return { limit, after }
  throw new ProblemError({
    status: 400,
    code: 'invalidCursor',
    title: 'The cursor is not valid',
    detail: 'Pass the nextCursor of the page before, unchanged.',
    errors: [{ pointer: '/cursor', detail: 'is no cursor of this list' }],
  })
}

/** A page as it is answered. The cursor is opaque, so that the order of a list may become another. */
export function pageView<T, View>(
  { data, next }: Page<T>,
  view: (item: T) => View,
): { data: View[]; nextCursor: string | null; hasMore: boolean } {
  return {
    data: data.map(view),
    nextCursor: next === null ? null : cursorOf(next),
    hasMore: next !== null,
  }
}

function cursorOf(name: string): string {
  return Buffer.from(name).toString('base64url')
}
