/** How the commands share the memory for their outputs. */
import { type BlockPool, createBlockPool } from './blocks.ts'
import { type Budget, createBudget } from './budget.ts'

export interface OutputMemorySettings {
  /** Bound of one command's output, in bytes. */
  readonly ringBytes: number
  /** Bound of the outputs of all commands, in bytes. */
  readonly totalBytes: number
  readonly maxCommands: number
}

export interface OutputMemory {
  readonly budget: Budget
  readonly pool: BlockPool
  readonly ringBytes: number
  /** Bytes by which a starter may lag before its command waits. */
  readonly fullMark: number
}

/** Largest lag of a starter: more gains no throughput. */
const LARGEST_MARK_BYTES = 1024 * 1024
const SMALLEST_MARK_BYTES = 64 * 1024
/** The capacity of a pipe as guestd asks for it: a larger read finds no more. */
const LARGEST_READ_BYTES = 256 * 1024
const SMALLEST_READ_BYTES = 64 * 1024
/** Free blocks that are kept though all commands together are at their bound: one drops what the next takes. */
const SPARE_BLOCKS = 8
/** A ring has at least this many blocks: it drops its oldest bytes a block at a time. */
const RING_BLOCKS = 8

export function createOutputMemory(settings: OutputMemorySettings): OutputMemory {
  const { ringBytes, totalBytes, maxCommands } = settings
  const budget = createBudget(totalBytes)
  /** A starter's share of the bound: half for its lag, and a quarter for a read of each of its two pipes. */
  const share = totalBytes / maxCommands
  const fullMark = clamp(share / 2, SMALLEST_MARK_BYTES, LARGEST_MARK_BYTES)
  const readBytes = clamp(share / 4, SMALLEST_READ_BYTES, LARGEST_READ_BYTES)
  const pool = createBlockPool(blockSize(readBytes, ringBytes), size =>
    Math.max(totalBytes - budget.heldBytes, SPARE_BLOCKS * size),
  )
  return { budget, pool, ringBytes, fullMark }
}

/** A power of two: blocks grow to it by doubling. */
function blockSize(readBytes: number, ringBytes: number): number {
  return 2 ** Math.floor(Math.log2(Math.min(readBytes, ringBytes / RING_BLOCKS)))
}

function clamp(value: number, least: number, most: number): number {
  return Math.max(least, Math.min(most, Math.floor(value)))
}
