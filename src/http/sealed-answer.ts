import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'

/** An answer as it is kept to be given again. */
interface KeptAnswer {
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** What only the client has: the database knows hashes of both. */
export interface AnswerSecrets {
  readonly idempotencyKey: string
  /** A client's idempotency keys may be guessable (`order-17`); its API key is not. */
  readonly apiKey: string
}

const VERSION = 1
const SALT_BYTES = 16
const NONCE_BYTES = 12
const TAG_BYTES = 16
const INFO = 'tallyman idempotency answer 1'

/**
 * Encrypts an answer (AES-256-GCM, a key by HKDF-SHA-256), so that whoever reads the database does not learn the API
 * key that an answer shows once. Layout: version, salt, nonce, tag, ciphertext.
 * @param name what the answer belongs to; it opens under no other
 */
export function sealAnswer(answer: KeptAnswer, secrets: AnswerSecrets, name: string): Uint8Array {
  const salt = randomBytes(SALT_BYTES)
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', keyOf(secrets, salt), nonce).setAAD(Buffer.from(name))
  const text = Buffer.concat([cipher.update(JSON.stringify(answer), 'utf8'), cipher.final()])
  return Buffer.concat([Buffer.of(VERSION), salt, nonce, cipher.getAuthTag(), text])
}

/** Null when the secrets are not those that it was sealed with, or the bytes are damaged. */
export function openAnswer(sealed: Uint8Array, secrets: AnswerSecrets, name: string): KeptAnswer | null {
  const bytes = Buffer.from(sealed)
  const textAt = 1 + SALT_BYTES + NONCE_BYTES + TAG_BYTES
  if (bytes[0] !== VERSION || bytes.length < textAt) return null
  const salt = bytes.subarray(1, 1 + SALT_BYTES)
  const nonce = bytes.subarray(1 + SALT_BYTES, 1 + SALT_BYTES + NONCE_BYTES)
  const decipher = createDecipheriv('aes-256-gcm', keyOf(secrets, salt), nonce, { authTagLength: TAG_BYTES })
    .setAAD(Buffer.from(name))
    .setAuthTag(bytes.subarray(textAt - TAG_BYTES, textAt))
  const text = decipher.update(bytes.subarray(textAt))
  try {
    return JSON.parse(Buffer.concat([text, decipher.final()]).toString('utf8')) as KeptAnswer
  } catch {
    // The only thing that `final` throws for: the tag does not fit.
    return null
  }
}

function keyOf({ idempotencyKey, apiKey }: AnswerSecrets, salt: Uint8Array): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', JSON.stringify([idempotencyKey, apiKey]), salt, INFO, 32))
}
