import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openEmbeddedLog } from '../../src/log/embedded/embedded-log.ts'
import { describeEventLog } from '../conformance/event-log.ts'

describeEventLog('embedded', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'tallyman-log-'))
  const options = { directory, retryPauseMs: 1 }
  let log = await openEmbeddedLog(options)
  return {
    log,
    reopen: async () => {
      await log.close()
      log = await openEmbeddedLog(options)
      return log
    },
    dispose: async () => {
      await log.close()
      rmSync(directory, { recursive: true, force: true })
    },
  }
})
