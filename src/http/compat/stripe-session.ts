import { createCipheriv, createDecipheriv } from 'node:crypto'

const NONCE_BYTES = 12
const TAG_BYTES = 16
/** Marks the tokens, so that they are found in logs and never taken for keys. */
const PREFIX = 'tm_mes_'

export interface StripeSessions {
  /** A token that stands for the key until it expires. */
  seal(key: string, expiresAtMs: number): string
  /** The key behind a token; null when it is none of ours or has expired. */
  open(token: string, nowMs: number): string | null
}

/**
 * Session tokens without state: the key itself, sealed. Whoever presents one is authenticated by that key again, so that
 * a key that is revoked ends its sessions at once. Processes that share the secret accept each other's tokens.
 * @param secret 32 bytes
 */
export function createStripeSessions(
  secret: Uint8Array,
  randomBytes: (count: number) => Uint8Array,
): StripeSessions {
  return {
    seal(key, expiresAtMs) {
      const nonce = randomBytes(NONCE_BYTES)
      const cipher = createCipheriv('aes-256-gcm', secret, nonce)
      const sealed = [cipher.update(JSON.stringify({ key, expiresAtMs }), 'utf8'), cipher.final()]
      return PREFIX + Buffer.concat([nonce, ...sealed, cipher.getAuthTag()]).toString('base64url')
    },
    open(token, nowMs) {
      if (!token.startsWith(PREFIX)) return null
      const bytes = Buffer.from(token.slice(PREFIX.length), 'base64url')
      if (bytes.length < NONCE_BYTES + TAG_BYTES) return null
      const decipher = createDecipheriv('aes-256-gcm', secret, bytes.subarray(0, NONCE_BYTES))
      decipher.setAuthTag(bytes.subarray(-TAG_BYTES))
      try {
        const text =
          decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES), undefined, 'utf8') + decipher.final('utf8')
        const { key, expiresAtMs } = JSON.parse(text) as {
          readonly key: string
          readonly expiresAtMs: number
        }
        return nowMs < expiresAtMs ? key : null
      } catch {
        return null // not sealed with this secret, or changed on the way: no session
      }
    },
  }
}
