import { linkSync, readdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'

/**
 * One process per directory. The holder is who made the lock file with the highest number; a file is made whole by a
 * link, which only one process can do for a number. A lock is never taken away from under its number: to release it,
 * its holder writes that it is free, and the next one makes the next number. So no order of events lets two in.
 */
export interface Lock {
  release(): void
}

interface Holder {
  readonly isFree: boolean
  readonly pid: number
  readonly host: string
  /** Tells a process from a later one with its pid; null where the system doesn't say. */
  readonly startedAt: string | null
}

/** @throws Error when another process that lives, or one on another machine, holds the directory */
export function lockDirectory(directory: string): Lock {
  const numbers = lockNumbers(directory)
  const last = numbers.at(-1) ?? 0
  if (last > 0) refuseIfHeld(directory, readHolder(directory, last))
  const own = lockPath(directory, last + 1)
  const draft = join(directory, `draft-${process.pid}-${crypto.randomUUID()}`)
  const holder: Holder = {
    isFree: false,
    pid: process.pid,
    host: hostname(),
    startedAt: startOf(process.pid),
  }
  writeFileSync(draft, JSON.stringify(holder))
  try {
    linkSync(draft, own)
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error
    throw justTaken(directory)
  } finally {
    unlinkSync(draft)
  }
  // Whoever read the list long ago may have made a number that was in use and removed since.
  if ((lockNumbers(directory).at(-1) ?? 0) > last + 1) {
    unlinkSync(own)
    throw justTaken(directory)
  }
  for (const number of numbers) unlinkIfThere(lockPath(directory, number))
  return {
    release: () => {
      writeFileSync(own, JSON.stringify({ ...holder, isFree: true }))
    },
  }
}

function justTaken(directory: string): Error {
  return new Error(`Another process has just taken the spool ${directory}. ${ADVICE}`)
}

const ADVICE = 'Give each process a directory of its own.'

function refuseIfHeld(directory: string, holder: Holder | null): void {
  if (holder === null || holder.isFree) return
  const { pid, host, startedAt } = holder
  if (host !== hostname()) {
    const way = 'If that machine or container is gone for good, remove its lock file from the directory.'
    throw new Error(`The spool ${directory} is held by process ${pid} on ${host}. ${ADVICE} ${way}`)
  }
  if (isAlive(pid) && startOf(pid) === startedAt) {
    throw new Error(`The spool ${directory} is held by process ${pid}. ${ADVICE}`)
  }
}

/** A file that cannot be read as a holder was torn by a crash of the machine: its holder is gone. */
function readHolder(directory: string, number: number): Holder | null {
  try {
    return JSON.parse(readFileSync(lockPath(directory, number), 'utf8')) as Holder
  } catch (error) {
    if (isErrno(error, 'ENOENT')) throw justTaken(directory)
    if (error instanceof SyntaxError) return null
    throw error
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    if (isErrno(error, 'ESRCH')) return false
    if (isErrno(error, 'EPERM')) return true
    throw error
  }
}

/** Field 22 of /proc/PID/stat, in clock ticks since boot (proc(5)); only Linux has it. */
function startOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null
  } catch (error) {
    if (isErrno(error, 'ENOENT') || isErrno(error, 'ESRCH')) return null
    throw error
  }
}

const lockPath = (directory: string, number: number): string => join(directory, `lock-${number}`)

function lockNumbers(directory: string): readonly number[] {
  return readdirSync(directory)
    .flatMap((name) => /^lock-(\d+)$/.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b)
}

/** Two that come one after the other may both clear away what a third has left. */
function unlinkIfThere(path: string): void {
  try {
    unlinkSync(path)
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error
  }
}

function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
