import type { Command } from 'commander'
import type { CliDeps } from '../deps.ts'
import { addBackfillCommand } from './events-backfill.ts'
import { addImportCommand } from './events-import.ts'
import { addSendCommand } from './events-send.ts'
import { addTailCommand } from './events-tail.ts'
import { addTraceCommand } from './events-trace.ts'
import { addVoidCommand } from './events-void.ts'

export function addEventsCommand(program: Command, deps: CliDeps): void {
  const group = program.command('events').description('send usage events, follow them, take them back')
  addSendCommand(group, deps)
  addImportCommand(group, deps)
  addBackfillCommand(group, deps)
  addTraceCommand(group, deps)
  addTailCommand(group, deps)
  addVoidCommand(group, deps)
}
