import type { KeyState } from '../provision/key-state.ts'
import type { KeyChangeOutcome } from '../provision/ports.ts'
import { hashText } from './key-shapes.ts'
import { invalidRequest } from './keys-check.ts'
import { ProblemError } from './problem.ts'

/** The state after a change, or the problem that kept it from being changed. */
export function changed(id: string, outcome: KeyChangeOutcome): KeyState {
  switch (outcome.kind) {
    case 'unknown':
      throw unknownKey(id)
    case 'revoked':
      throw conflict('revokedKey', `The key ${id} was revoked, which is for good.`)
    case 'changed':
    case 'unchanged':
      return outcome.state
  }
}

/** The hash of a key that was made elsewhere, in the form in which hashes are kept. */
export function importedHash({ value, hint = 'imported' }: { value: string; hint?: string | undefined }): {
  hash: string
  hint: string
} {
  const hash = hashText(value)
  if (hash !== null) return { hash, hint }
  const detail = 'must be a SHA-256 in hex (64 digits), base64 or base64url'
  throw invalidRequest('invalidRequest', '/hash/value', detail)
}

export function unknownKey(id: string): ProblemError {
  return new ProblemError({
    status: 404,
    code: 'unknownKey',
    title: 'No such key',
    detail: `There is no API key with the id "${id}". GET /v1/keys lists them.`,
  })
}

export function conflict(code: string, detail: string): ProblemError {
  return new ProblemError({ status: 409, code, title: 'The key cannot be changed so', detail })
}
