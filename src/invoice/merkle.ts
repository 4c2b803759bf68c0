import { createHash } from 'node:crypto'
import { formatInstant } from '../time/instant.ts'
import type { CanonicalEvent } from '../usage/usage-query.ts'

/** A neighbour on the way from a leaf to the root. */
export interface ProofStep {
  readonly side: 'left' | 'right'
  /** Hexadecimal. */
  readonly hash: string
}

const LEAF = Buffer.of(0)
const NODE = Buffer.of(1)

/** The hash of an event as it stands on an invoice: what it was, what it counted, and where it stands on the log. */
export function leafHash({ source, id, subject, time, value, coordinate }: CanonicalEvent): Buffer {
  const { epoch, partition, offset, index } = coordinate
  const leaf = [source, id, subject, formatInstant(time), value, [epoch, partition, offset, index]]
  return createHash('sha256').update(LEAF).update(JSON.stringify(leaf)).digest()
}

/** Leaves in the one order that everybody can make: by their hashes, so that it says nothing about the events. */
export function sortLeaves(leaves: readonly Buffer[]): Buffer[] {
  return [...leaves].sort((a, b) => a.compare(b))
}

/**
 * The root over sorted leaves (RFC 6962, section 2.1: leaves and nodes are hashed apart, so that neither passes for the
 * other). No leaves have the hash of nothing.
 */
export function merkleRoot(leaves: readonly Buffer[]): string {
  if (leaves.length === 0) return createHash('sha256').digest('hex')
  let level = [...leaves]
  while (level.length > 1) level = parents(level)
  return (level[0] ?? Buffer.alloc(0)).toString('hex')
}

/** How a leaf leads to the root; null when it is not among the leaves. */
export function inclusionProof(leaves: readonly Buffer[], leaf: Buffer): readonly ProofStep[] | null {
  let index = leaves.findIndex((other) => other.equals(leaf))
  if (index < 0) return null
  const steps: ProofStep[] = []
  for (let level = [...leaves]; level.length > 1; level = parents(level)) {
    const neighbour = level[index ^ 1]
    if (neighbour !== undefined) {
      steps.push({ side: index % 2 === 0 ? 'right' : 'left', hash: neighbour.toString('hex') })
    }
    index >>= 1
  }
  return steps
}

/** The root that a leaf and its proof lead to. */
export function rootOfProof(leaf: Buffer, steps: readonly ProofStep[]): string {
  return steps
    .reduce((hash, { side, hash: other }) => {
      const neighbour = Buffer.from(other, 'hex')
      return side === 'left' ? nodeHash(neighbour, hash) : nodeHash(hash, neighbour)
    }, leaf)
    .toString('hex')
}

/** A node without a neighbour goes up as it is. */
function parents(level: readonly Buffer[]): Buffer[] {
  const above: Buffer[] = []
  for (let i = 0; i < level.length; i += 2) {
    const left = level[i]
    const right = level[i + 1]
    if (left !== undefined) above.push(right === undefined ? left : nodeHash(left, right))
  }
  return above
}

function nodeHash(left: Buffer, right: Buffer): Buffer {
  return createHash('sha256').update(NODE).update(left).update(right).digest()
}
