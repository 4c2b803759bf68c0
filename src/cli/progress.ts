import type { Writable } from 'node:stream'
import cliProgress from 'cli-progress'
import { grouped } from './output.ts'

/** How far a long piece of work is. `done` counts in the unit of `total`; `items` are what the rate is told in. */
export interface Progress {
  advance(done: number, items?: number): void
  /** Ends the bar where it stands. Safe to call twice. */
  stop(): void
}

export interface ProgressOptions {
  readonly stream: Writable & { readonly isTTY?: boolean }
  readonly json: boolean
  readonly label: string
  /** Null when it cannot be known beforehand. */
  readonly total: number | null
  /** What is counted: `events`, `rows`. */
  readonly unit: string
  readonly now: () => number
}

const REPORT_INTERVAL_MS = 5_000
const BAR_INTERVAL_MS = 100

interface Reading {
  readonly done: number
  readonly items: number
  readonly perSecond: number
  readonly secondsLeft: number | null
}

function takeReading(done: number, items: number, total: number | null, elapsedMs: number): Reading {
  const seconds = Math.max(elapsedMs, 1) / 1000
  const donePerSecond = done / seconds
  const left = total === null || donePerSecond === 0 ? null : Math.max(0, (total - done) / donePerSecond)
  return {
    done,
    items,
    perSecond: Math.round(items / seconds),
    secondsLeft: left === null ? null : Math.ceil(left),
  }
}

/** A bar on a terminal; otherwise a line every five seconds at most, JSON with `--json`. Always on stderr. */
export function startProgress(options: ProgressOptions): Progress {
  const startedAt = options.now()
  const read = (done: number, items: number): Reading =>
    takeReading(done, items, options.total, options.now() - startedAt)
  return options.stream.isTTY === true && options.total !== null
    ? startBar(options, options.total, read)
    : startLines(options, read)
}

function startBar(
  options: ProgressOptions,
  total: number,
  read: (done: number, items: number) => Reading,
): Progress {
  const bar = new cliProgress.SingleBar({
    stream: options.stream,
    barsize: 30,
    hideCursor: false,
    gracefulExit: false,
    etaBuffer: 1,
    barCompleteChar: '#',
    barIncompleteChar: '.',
    format: (barOptions, params, payload: { readonly text: string }) =>
      `${options.label} [${cliProgress.Format.BarFormat(params.progress, barOptions)}] ${String(Math.floor(params.progress * 100)).padStart(3)} %  ${payload.text}`,
  })
  const describe = (reading: Reading): { text: string } => ({
    text:
      `${grouped(reading.items)} ${options.unit}, ${grouped(reading.perSecond)}/s` +
      (reading.secondsLeft === null ? '' : `, ${formatSeconds(reading.secondsLeft)} left`),
  })
  bar.start(total, 0, describe(read(0, 0)))
  let drawnAt = options.now()
  let last = { done: 0, items: 0 }
  let stopped = false
  return {
    advance: (done, items = done) => {
      last = { done, items }
      if (options.now() - drawnAt < BAR_INTERVAL_MS) return
      drawnAt = options.now()
      bar.update(Math.min(done, total), describe(read(done, items)))
    },
    stop: () => {
      if (stopped) return
      stopped = true
      bar.update(Math.min(last.done, total), describe(read(last.done, last.items)))
      bar.stop()
    },
  }
}

function startLines(options: ProgressOptions, read: (done: number, items: number) => Reading): Progress {
  let reportedAt = options.now()
  let last = { done: 0, items: 0 }
  let reported = false
  let stopped = false
  const report = (): void => {
    const reading = read(last.done, last.items)
    const percent =
      options.total === null ? null : Math.floor((100 * reading.done) / Math.max(1, options.total))
    const text = options.json
      ? JSON.stringify({
          progress: options.label,
          unit: options.unit,
          items: reading.items,
          percent,
          perSecond: reading.perSecond,
          secondsLeft: reading.secondsLeft,
        })
      : `${options.label}: ${percent === null ? '' : `${percent} %, `}${grouped(reading.items)} ${options.unit}, ${grouped(reading.perSecond)}/s` +
        (reading.secondsLeft === null ? '' : `, ${formatSeconds(reading.secondsLeft)} left`)
    options.stream.write(`${text}\n`)
  }
  return {
    advance: (done, items = done) => {
      last = { done, items }
      if (options.now() - reportedAt < REPORT_INTERVAL_MS) return
      reportedAt = options.now()
      reported = true
      report()
    },
    stop: () => {
      if (stopped) return
      stopped = true
      if (reported) report() // what was over at once needs no report
    },
  }
}

function formatSeconds(seconds: number): string {
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}
