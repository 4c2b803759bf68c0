import {
  closeSync,
  fdatasync,
  fdatasyncSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import process from 'node:process'
import { SEGMENT_MAGIC } from './segment.ts'

/** One segment on disk. Appending returns when the operating system has the bytes: they survive the end of the process. */
export class SegmentFile {
  readonly path: string
  /** Numbers of its events that are not settled. */
  readonly live = new Set<number>()
  #bytes: number
  #descriptor: number | null = null
  #syncs = 0

  /** One that is there already; it can only be removed. */
  constructor(path: string, bytes: number) {
    this.path = path
    this.#bytes = bytes
  }

  /** @throws what the disk throws; no file is left then */
  static create(path: string): SegmentFile {
    const file = new SegmentFile(path, 0)
    file.#descriptor = openSync(path, 'wx', 0o600)
    try {
      file.append(SEGMENT_MAGIC)
      syncDirectory(dirname(path))
    } catch (error) {
      file.remove()
      throw error
    }
    return file
  }

  get bytes(): number {
    return this.#bytes
  }

  /** All of it or nothing: after a failure, half a record would hide those behind it. @throws what the disk throws */
  append(record: Uint8Array): void {
    const descriptor = this.#open()
    let written = 0
    try {
      while (written < record.length) {
        written += writeSync(descriptor, record, written, record.length - written, this.#bytes + written)
      }
    } catch (error) {
      ftruncateSync(descriptor, this.#bytes)
      throw error
    }
    this.#bytes += record.length
  }

  /** Onto the disk, so that it survives a power failure. */
  sync(done: (error: Error | null) => void): void {
    const descriptor = this.#open()
    this.#syncs += 1
    fdatasync(descriptor, (error) => {
      this.#syncs -= 1
      if (this.#descriptor === null && this.#syncs === 0) closeSync(descriptor)
      done(error)
    })
  }

  syncNow(): void {
    fdatasyncSync(this.#open())
  }

  /** A descriptor that is being synced is closed after that. */
  close(): void {
    if (this.#descriptor !== null && this.#syncs === 0) closeSync(this.#descriptor)
    this.#descriptor = null
  }

  remove(): void {
    this.close()
    unlinkSync(this.path)
  }

  #open(): number {
    if (this.#descriptor === null) throw new Error(`The segment ${this.path} is closed.`)
    return this.#descriptor
  }
}

/** The name of a new file is durable only with its directory. Windows has no such thing. */
function syncDirectory(directory: string): void {
  if (process.platform === 'win32') return
  const descriptor = openSync(directory, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}
