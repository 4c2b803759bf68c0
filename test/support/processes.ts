import { readdirSync, readFileSync } from 'node:fs'

/** Processes below this one that run now, however deep. */
export function descendantsOf(pid: number): readonly number[] {
  const children = new Map<number, number[]>()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const parent = parentOf(name)
    if (parent !== null) children.set(parent, [...(children.get(parent) ?? []), Number(name)])
  }
  const found: number[] = []
  for (let open = [pid]; open.length > 0;) {
    open = open.flatMap((one) => children.get(one) ?? [])
    found.push(...open)
  }
  return found
}

export function isRunning(pid: number): boolean {
  return parentOf(String(pid)) !== null
}

/** Null when the process is gone, or has ended and only its parent has not looked. */
function parentOf(pid: string): number | null {
  try {
    // `pid (name) state ppid …`, and a name may have spaces and brackets in it
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return state === 'Z' ? null : Number(parent)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ESRCH') return null // ended between the listing and now
    throw error
  }
}
