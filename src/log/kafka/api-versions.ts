import apiKeys from 'kafkajs/src/protocol/requests/apiKeys.js'
import protocol from 'kafkajs/src/protocol/requests/index.js'
import { LogError } from '../../usage/event-log.ts'
import { APIS, type KafkaApi } from './protocol.ts'

export interface VersionRange {
  readonly apiKey: number
  readonly minVersion: number
  readonly maxVersion: number
}

export type ApiVersions = ReadonlyMap<KafkaApi, number>

/** Asked before anything is known of the broker. Version 0 is the only one that a broker of any age answers well. */
const FIRST_VERSION = 0
export const versionsOfUnknownBroker: ApiVersions = new Map([['ApiVersions', FIRST_VERSION]])

/**
 * The version to speak, by API: the newest that both know. kafkajs by itself never looks at what a broker has
 * dropped, and sends requests that are answered with a closed connection.
 * @throws LogError `unsafeSettings` naming every API that they have no version in common for
 */
export function agreeOnVersions(broker: string, offered: readonly VersionRange[]): ApiVersions {
  const agreed = new Map<KafkaApi, number>()
  const missing: string[] = []
  for (const api of APIS) {
    const known = (protocol.requests[api]?.versions ?? []).map(Number)
    const range = offered.find(({ apiKey }) => apiKey === apiKeys[api])
    const common =
      range === undefined
        ? []
        : known.filter((version) => version >= range.minVersion && version <= range.maxVersion)
    if (common.length > 0) agreed.set(api, Math.max(...common))
    else if (range === undefined) missing.push(`${api}: the broker does not offer it`)
    else
      missing.push(
        `${api}: the broker speaks ${range.minVersion} to ${range.maxVersion}, this client at most ${Math.max(...known)}`,
      )
  }
  if (missing.length === 0) return agreed
  throw new LogError(
    'unsafeSettings',
    `${broker} and this client have no version of the protocol in common (${missing.join('; ')}). Kafka 2.1 to 4.x are known to work.`,
    { retryable: false },
  )
}
