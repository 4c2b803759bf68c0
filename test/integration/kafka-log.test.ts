import { connectKafkaLog } from '../../src/log/kafka/kafka-log.ts'
import { describeEventLog } from '../conformance/event-log.ts'
import { startKafka } from '../support/kafka.ts'

describeEventLog('kafka', async () => {
  const kafka = await startKafka()
  const connect = (): ReturnType<typeof connectKafkaLog> =>
    connectKafkaLog({
      brokers: kafka.brokers,
      clientId: 'conformance',
      replicationFactor: 1,
      settings: { retryPauseMs: 1 },
    })
  let log = await connect().catch(async (error: unknown) => {
    await kafka.stop()
    throw error
  })
  return {
    log,
    reopen: async () => {
      await log.close()
      // A cluster that was given to the tests is not theirs to stop.
      if (kafka.nodes.length > 0) await kafka.restart()
      log = await connect()
      return log
    },
    dispose: async () => {
      await log.close()
      await kafka.stop()
    },
  }
})
