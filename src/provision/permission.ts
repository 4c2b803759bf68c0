/** What a caller must be allowed to do: one permission, or several joined by AND and OR. */
export type PermissionQuery =
  | { readonly kind: 'one'; readonly permission: string }
  | { readonly kind: 'all' | 'any'; readonly of: readonly PermissionQuery[] }

export type PermissionParse =
  | { readonly kind: 'query'; readonly query: PermissionQuery }
  | { readonly kind: 'fault'; readonly detail: string }

const WORD = /^[A-Za-z][A-Za-z0-9_.:-]{0,63}$/
const TOKENS = /\(|\)|[^\s()]+/g
/** Words and brackets of one query: a query is a line, not a program. */
const TOKENS_MAX = 64

/** Reads `chat.write AND (model.small OR model.large)`. AND binds tighter than OR, as everywhere. */
export function parsePermission(text: string): PermissionParse {
  const tokens = text.match(TOKENS) ?? []
  if (tokens.length > TOKENS_MAX) return fault(`has more than ${TOKENS_MAX} words and brackets`)
  let at = 0

  const term = (): PermissionQuery | string => {
    const token = tokens[at++]
    if (token === undefined) return 'ends where a permission is expected'
    if (token === '(') {
      const inner = anyOf()
      if (typeof inner === 'string') return inner
      return tokens[at++] === ')' ? inner : 'lacks a closing bracket'
    }
    if (token === ')' || token === 'AND' || token === 'OR')
      return `has "${token}" where a permission is expected`
    if (!WORD.test(token)) return `"${token}" is not a permission`
    return { kind: 'one', permission: token }
  }
  const joined = (
    kind: 'all' | 'any',
    word: string,
    next: () => PermissionQuery | string,
  ): PermissionQuery | string => {
    const of: PermissionQuery[] = []
    do {
      const found = next()
      if (typeof found === 'string') return found
      of.push(found)
    } while (tokens[at] === word && at++ < tokens.length)
    const [only] = of
    return of.length === 1 && only !== undefined ? only : { kind, of }
  }
  const allOf = (): PermissionQuery | string => joined('all', 'AND', term)
  const anyOf = (): PermissionQuery | string => joined('any', 'OR', allOf)

  const query = anyOf()
  if (typeof query === 'string') return fault(query)
  if (at < tokens.length) return fault(`has "${tokens[at] ?? ''}" where AND or OR is expected`)
  return { kind: 'query', query }
}

/**
 * Whether scopes grant what is asked. A scope grants itself, `chat.*` everything that begins with `chat.`, and
 * `admin` also `read` and `ingest`.
 */
export function isPermitted(scopes: readonly string[], query: PermissionQuery): boolean {
  switch (query.kind) {
    case 'one':
      return scopes.some((scope) => grants(scope, query.permission))
    case 'all':
      return query.of.every((part) => isPermitted(scopes, part))
    case 'any':
      return query.of.some((part) => isPermitted(scopes, part))
  }
}

/** The query as text again: `"a" and ("b" or "c")`. */
export function describePermission(query: PermissionQuery): string {
  if (query.kind === 'one') return `"${query.permission}"`
  const parts = query.of.map((part) =>
    part.kind === 'any' ? `(${describePermission(part)})` : describePermission(part),
  )
  return parts.join(query.kind === 'all' ? ' and ' : ' or ')
}

function grants(scope: string, permission: string): boolean {
  if (scope === permission) return true
  if (scope.endsWith('*')) return permission.startsWith(scope.slice(0, -1))
  return scope === 'admin' && (permission === 'read' || permission === 'ingest')
}

function fault(what: string): PermissionParse {
  return { kind: 'fault', detail: `The permission ${what}. Write for example "a AND (b OR c)".` }
}
