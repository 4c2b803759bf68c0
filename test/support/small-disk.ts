import { spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A file system of its own in memory, small enough to be filled. */
export interface SmallDisk {
  readonly directory: string
  freeBytes(): number
  /** Takes all space but so much. */
  fill(freeBytes: number): void
  /** Gives back what `fill` took. */
  release(): void
  remove(): void
}

/** @throws Error that says what is needed where this process may not mount */
export function mountSmallDisk(bytes: number): SmallDisk {
  const directory = mkdtempSync(join(tmpdir(), 'tallyman-disk-'))
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', directory], {
    encoding: 'utf8',
  })
  if (mounted.status !== 0) {
    rmSync(directory, { recursive: true, force: true })
    throw new Error(
      `The test of a full disk mounts a small tmpfs, which needs root (CAP_SYS_ADMIN): ${mounted.stderr}${String(mounted.error ?? '')}`,
    )
  }
  const ballast = join(directory, 'ballast')
  const freeBytes = (): number => {
    const { bavail, bsize } = statfsSync(directory)
    return bavail * bsize
  }
  return {
    directory,
    freeBytes,
    fill(left) {
      const piece = Buffer.alloc(65_536, 1)
      const file = openSync(ballast, 'a')
      try {
        while (freeBytes() > left + piece.length) writeSync(file, piece)
        while (freeBytes() > left && writeSync(file, piece, 0, 4096) > 0);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
      } finally {
        closeSync(file)
      }
    },
    release: () => rmSync(ballast, { force: true }),
    remove() {
      spawnSync('umount', ['-l', directory])
      rmSync(directory, { recursive: true, force: true })
    },
  }
}
