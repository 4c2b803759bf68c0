import { z } from '@hono/zod-openapi'
import { nearestName } from '../id/nearest-name.ts'

/** An object or query that has no members but these: a misspelt filter would list everything in silence. */
export function strictObject<Shape extends z.ZodRawShape>(shape: Shape): z.ZodObject<Shape, z.core.$strict> {
  const known = Object.keys(shape)
  return z.strictObject(shape, {
    error: (issue) => {
      if (issue.code !== 'unrecognized_keys') return undefined
      const [first = ''] = issue.keys
      return `is not known here; did you mean "${nearestName(first, known)}"? Known are ${known.join(', ')}`
    },
  })
}
