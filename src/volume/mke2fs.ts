/** The ext4 that guestd and guestctl make, as arguments of mke2fs(8). Pure. */

export const BLOCK_BYTES = 4096
/** A smaller file system gets no useful journal. */
export const MIN_BYTES = 16 * 1024 * 1024

export interface Ext4Plan {
  readonly blocks: number
  readonly blockBytes: number
  readonly inodes: number
  /** Blocks that only root may use. */
  readonly reservedBlocks: number
  readonly label: string
  /** Multiple mount protection. */
  readonly mmp: boolean
}

/** Enough digits to name one block of 2 ** 32. */
const PERCENT_DIGITS = 9

/** @param options of `-E` */
export function mke2fsArgs(path: string, plan: Ext4Plan, options: string): readonly string[] {
  const { blocks, blockBytes, inodes, reservedBlocks, label, mmp } = plan
  const percent = ((reservedBlocks / blocks) * 100).toFixed(PERCENT_DIGITS)
  const geometry = ['-b', String(blockBytes), '-N', String(inodes), '-m', percent]
  const features = ['-E', options, ...(mmp ? ['-O', 'mmp'] : [])]
  return [
    ...['-q', '-F', '-t', 'ext4'],
    ...[...geometry, ...features],
    ...['-L', label, path, String(blocks)],
  ]
}
