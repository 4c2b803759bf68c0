import { setTimeout as pause } from 'node:timers/promises'
import type { Position } from '../../usage/event-log.ts'
import type { LogLogger } from '../ports.ts'
import type { BrokerConnection } from './broker-connection.ts'
import type { Cluster } from './cluster.ts'
import { coordinatorOf, join, type Membership } from './group-protocol.ts'
import { brokerFault, faultType, KafkaFault } from './kafka-fault.ts'
import { askAgain } from './retrying.ts'
import type { Watched } from './watchdog.ts'

const ILLEGAL_GENERATION = 22
const UNKNOWN_MEMBER = 25
const REBALANCE_IN_PROGRESS = 27
const FENCED = 82
/** The group goes on without this member; its partitions may have others already. */
const LOST = new Set([ILLEGAL_GENERATION, UNKNOWN_MEMBER, FENCED])
const JOIN_PAUSE_MS_FIRST = 50
const JOIN_PAUSE_MS_MAX = 2000

export interface GroupMemberDeps {
  readonly cluster: Cluster
  readonly topic: string
  readonly group: string
  /** Connections of this member only: a rebalance holds the answer of a join back. */
  readonly purpose: string
  readonly logger: LogLogger
  readonly life: Watched
  readonly onAssigned: (partitions: readonly number[]) => void
  /** Resolves when no handler of the partitions runs any more. */
  readonly onRevoked: () => Promise<void>
}

/**
 * One member of a consumer group: joins, keeps the membership alive whatever the handlers do, and gives partitions up
 * before it joins again. kafkajs's own consumer beats only between handlers, tells nobody that partitions were
 * revoked, and commits for partitions that it has lost.
 */
export class GroupMember {
  readonly #deps: GroupMemberDeps
  #membership: Membership | null = null
  #memberId = ''
  #stopping = false
  #wake: () => void = () => undefined

  constructor(deps: GroupMemberDeps) {
    this.#deps = deps
  }

  /** Runs until `stop`. Rejects only for what joining again cannot mend. */
  async run(): Promise<void> {
    let pauseMs = JOIN_PAUSE_MS_FIRST
    while (!this.#isStopping()) {
      const { cluster, group, topic, logger } = this.#deps
      try {
        await this.#joinOnce()
        pauseMs = JOIN_PAUSE_MS_FIRST
        await this.#keepAlive()
      } catch (error) {
        if (!(error instanceof KafkaFault)) throw error
        if (error.errorCode !== null && LOST.has(error.errorCode)) this.#memberId = ''
        // Somebody else joined at the same moment.
        if (error.errorCode === REBALANCE_IN_PROGRESS) continue
        if (!error.isPassing && !LOST.has(error.errorCode ?? 0)) throw error
        if (this.#isStopping()) break
        logger.warn(
          { group, topic, fault: error.message, pauseMs },
          'joining the group failed and is repeated',
        )
        cluster.drop(this.#deps.purpose)
        await this.#sleep(pauseMs)
        pauseMs = Math.min(pauseMs * 2, JOIN_PAUSE_MS_MAX)
      }
    }
  }

  /** Ends `run` at its next step. The partitions must have been given up by then. */
  stop(): void {
    this.#stopping = true
    this.#wake()
  }

  /** Tells the group that the member goes, so that others have its partitions at once. */
  async leave(): Promise<void> {
    const { cluster, group, purpose, logger } = this.#deps
    this.#membership = null
    if (this.#memberId === '') return
    try {
      const coordinator = await coordinatorOf(cluster, group, purpose)
      const { errorCode } = await coordinator.call('LeaveGroup', { groupId: group, memberId: this.#memberId })
      if (errorCode !== 0 && !LOST.has(errorCode)) throw brokerFault(`leaving ${group}`, errorCode)
    } catch (error) {
      if (!(error instanceof KafkaFault)) throw error
      logger.warn(
        { group, fault: error.message },
        'the group was not told that this member leaves; it finds out when the session ends',
      )
    }
    this.#memberId = ''
  }

  /**
   * Remembers positions for lag tools. The coordinator refuses them when the group has gone on without this member.
   * @throws LogError `unavailable`
   */
  async commit(positions: readonly Position[]): Promise<void> {
    const { cluster, group, topic, purpose } = this.#deps
    const membership = this.#membership
    if (membership === null || positions.length === 0) return
    await askAgain(`committing positions of ${group}`, cluster.settings.askMsMax, async () => {
      const coordinator = await coordinatorOf(cluster, group, `${purpose} commit`)
      const { responses } = await coordinator.call('OffsetCommit', {
        groupId: group,
        groupGenerationId: membership.generationId,
        memberId: membership.memberId,
        topics: [{ topic, partitions: positions }],
      })
      for (const { errorCode } of responses.flatMap(({ partitions }) => partitions)) {
        // Not ours any more, or about to change hands: whoever has the partition next commits.
        if (LOST.has(errorCode) || errorCode === REBALANCE_IN_PROGRESS) return
        if (errorCode !== 0) throw brokerFault(`committing positions of ${group}`, errorCode)
      }
    })
  }

  #isStopping(): boolean {
    return this.#stopping
  }

  async #joinOnce(): Promise<void> {
    const { cluster, group, topic, purpose, life } = this.#deps
    const { rebalanceMsMax, stallMsMax } = cluster.settings
    life.alive('joining the group', rebalanceMsMax + stallMsMax)
    const coordinator = await coordinatorOf(cluster, group, purpose)
    const membership = await join(cluster, coordinator, group, topic, this.#memberId)
    this.#memberId = membership.memberId
    if (this.#isStopping()) return
    this.#membership = membership
    this.#deps.onAssigned(membership.partitions)
  }

  /** Until the group rebalances, or has lost this member; the partitions are given up then. */
  async #keepAlive(): Promise<void> {
    const { cluster, group, life, logger, purpose } = this.#deps
    const { heartbeatIntervalMs, handlerMsMax, stallMsMax } = cluster.settings
    let coordinator: BrokerConnection | null = null
    let revoking: Promise<void> | null = null
    const revoked = new AbortController()
    const isOver = (): boolean => this.#isStopping() || revoked.signal.aborted
    while (!isOver()) {
      await (revoking === null
        ? this.#sleep(heartbeatIntervalMs)
        : Promise.race([this.#sleep(heartbeatIntervalMs), revoking]))
      if (isOver()) break
      if (revoking === null) life.alive('a heartbeat', stallMsMax)
      try {
        coordinator ??= await coordinatorOf(cluster, group, purpose)
        const errorCode = await this.#beat(coordinator)
        if (errorCode === 0) continue
        const isLost = LOST.has(errorCode)
        if (!isLost && errorCode !== REBALANCE_IN_PROGRESS) throw brokerFault('heartbeat', errorCode)
        if (isLost) {
          logger.warn({ group, fault: faultType(errorCode) }, 'the group has gone on without this member')
          this.#memberId = ''
          this.#membership = null // what its handlers still commit is not theirs to commit
        }
        life.alive('giving partitions up', stallMsMax + handlerMsMax)
        revoking ??= this.#deps.onRevoked().then(() => revoked.abort())
        if (isLost) await revoking
      } catch (error) {
        if (!(error instanceof KafkaFault) || !error.isPassing) throw error
        // Handlers go on meanwhile: what they do is safe to do twice, and the group may take the partitions away.
        logger.warn({ group, fault: error.message }, 'a heartbeat failed and is repeated')
        cluster.drop(purpose)
        coordinator = null
      }
    }
    if (revoking !== null) await revoking
    if (!this.#isStopping()) this.#membership = null
  }

  async #beat(coordinator: BrokerConnection): Promise<number> {
    const membership = this.#membership
    if (membership === null) return UNKNOWN_MEMBER
    const { errorCode } = await coordinator.call('Heartbeat', {
      groupId: this.#deps.group,
      groupGenerationId: membership.generationId,
      memberId: membership.memberId,
    })
    return errorCode
  }

  async #sleep(ms: number): Promise<void> {
    if (this.#isStopping()) return
    const end = new AbortController()
    this.#wake = () => end.abort()
    await pause(ms, undefined, { signal: end.signal }).catch(() => undefined) // an abort is the wake-up
  }
}
