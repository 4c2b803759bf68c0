import { createMemoryLog } from '../../src/log/memory-log.ts'
import { describeEventLog } from '../conformance/event-log.ts'

describeEventLog('memory', async () => {
  const log = createMemoryLog({ retryPauseMs: 1 })
  return { log, reopen: null, dispose: () => log.close() }
})
