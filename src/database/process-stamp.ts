import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync, statSync } from 'node:fs'
import { kill, platform } from 'node:process'
import { errorCode } from './database-error.ts'

/** True while a process with the number runs (or waits to be reaped). */
function isAlive(pid: number): boolean {
  try {
    kill(pid, 0)
    return true
  } catch (error) {
    return errorCode(error) === 'EPERM'
  }
}

/**
 * What tells a process from a later one with the same number: when it started, and in which boot of the machine.
 * Null when there is no such process.
 */
export function processStamp(pid: number): string | null {
  if (!isAlive(pid)) return null
  try {
    if (platform !== 'linux') {
      return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim()
    }
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name stands in parentheses and may hold blanks; state and start time are fields 3 and 22 of the line.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (fields[0] === 'Z' || fields[0] === 'X') return null
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}/${fields[19] ?? ''}`
  } catch (error) {
    const code = errorCode(error)
    if (code === 'ENOENT' || code === 'ESRCH' || !isAlive(pid)) return null
    throw error
  }
}

/** True when the process works in the folder, whatever names lead there; null where the system does not tell. */
export function worksIn(pid: number, folder: string): boolean | null {
  if (platform !== 'linux') return null
  try {
    const there = statSync(`/proc/${pid}/cwd`)
    const here = statSync(folder)
    return there.dev === here.dev && there.ino === here.ino
  } catch (error) {
    const code = errorCode(error)
    if (code === 'ENOENT' || code === 'ESRCH') return false
    if (code === 'EACCES' || code === 'EPERM') return null
    throw error
  }
}

/** The name of the program that a process runs, or empty when there is no such process. */
export function programOf(pid: number): string {
  const outcome = spawnSync('ps', ['-o', 'comm=', '-p', String(pid)], { encoding: 'utf8' })
  return outcome.status === 0 ? outcome.stdout.trim() : ''
}
