import { realpathSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { getuid } from 'node:process'

/** The user that the embedded server runs as. Null ids: the user of this process. */
export interface ServerIdentity {
  readonly ids: { readonly uid: number; readonly gid: number } | null
}

const NOBODY = 65534

/** PostgreSQL refuses to run as root; there it gets the user and group `nobody`. */
export function serverIdentity(): ServerIdentity {
  return { ids: getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : null }
}

/** True when every folder above `path`, and `path` itself, lets the server's user pass. Symbolic links are followed. */
export function canEnter(identity: ServerIdentity, path: string): boolean {
  if (identity.ids === null) return true
  const { uid, gid } = identity.ids
  for (let at = realpathSync(path); ; at = dirname(at)) {
    const stat = statSync(at)
    const bit = stat.uid === uid ? 0o100 : stat.gid === gid ? 0o010 : 0o001
    if ((stat.mode & bit) === 0) return false
    if (dirname(at) === at) return true
  }
}

/** True when the server's user may read the file at `path` and pass every folder above it. */
export function canRead(identity: ServerIdentity, path: string): boolean {
  if (identity.ids === null) return true
  const stat = statSync(path)
  const bit = stat.uid === identity.ids.uid ? 0o400 : stat.gid === identity.ids.gid ? 0o040 : 0o004
  return (stat.mode & bit) !== 0 && canEnter(identity, dirname(realpathSync(path)))
}
