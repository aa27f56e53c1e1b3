/** Whether a disk that a power cut left recovers, and holds all that was acknowledged. */
import { mkdirSync } from 'node:fs'
import { messageOf } from '../../src/util/message-of.ts'
import { checkContent, type Kind } from './content.ts'
import { runLimited, runSound } from './limited.ts'
import { checkMark } from './mark.ts'
import { type ClaimRules, type Claims, claimsAt, type Note } from './notes.ts'
import type { Point } from './points.ts'
import type { Piece } from './rebuild.ts'
import type { Recording } from './recording.ts'

export interface Subject {
  readonly recording: Recording
  readonly notes: readonly Note[]
  /** Of the file system. */
  readonly bytes: number
  readonly hasMark: boolean
  readonly workloads: ReadonlyMap<string, Kind>
  /** What was acknowledged before the recording began. */
  readonly earlier: Claims
  readonly rules: ClaimRules
}

export interface Checked {
  /** What is lost or broken, in words; empty is well. */
  readonly losses: readonly string[]
  /** What had to be there. */
  readonly claims: Claims
}

/** e2fsck(8): no errors, or all errors were corrected. */
const REPAIRED = [0, 1]

/**
 * Never throws for what is on the disk.
 *
 * @param file the disk; it is changed
 * @param kept what of the writes since the flush is on it
 * @param at an empty folder to mount at
 */
export async function checkDisk(
  subject: Subject,
  point: Point,
  {
    file,
    kept,
    at,
  }: { readonly file: string; readonly kept: readonly Piece[]; readonly at: string },
): Promise<Checked> {
  const losses: string[] = []
  const attempt = async (what: string, check: () => Promise<unknown> | unknown) => {
    try {
      await check()
    } catch (error) {
      losses.push(`${what}: ${messageOf(error)}`)
    }
  }
  let isStopped = false
  if (subject.hasMark)
    await attempt('the mark', async () => {
      isStopped = checkMark(subject, point, { file, kept })
      if (isStopped) await checkClean(file)
    })
  const own = claimsAt(subject.notes, point.cut, isStopped, subject.rules)
  const claims = new Map([...subject.earlier, ...own])
  await attempt('recovery', () => recover(file, point.number))
  if (losses.length > 0) return { losses, claims }
  mkdirSync(at, { recursive: true })
  await attempt('mount', () => runSound('mount', ['-o', 'loop,noatime', file, at]))
  if (losses.length > 0) return { losses, claims }
  try {
    await checkAll(subject, claims, at, attempt)
  } finally {
    await runSound('umount', [at])
  }
  await attempt('e2fsck after it', () => runSound('e2fsck', ['-fn', file]))
  return { losses, claims }
}

async function checkAll(
  { workloads }: Subject,
  claims: Claims,
  at: string,
  attempt: (what: string, check: () => Promise<unknown>) => Promise<void>,
): Promise<void> {
  for (const [name, kind] of workloads)
    await attempt(name, () => checkContent(kind, name, at, claims.get(name)))
}

/** By turns as guestd does, and by the kernel alone at the mount. */
async function recover(file: string, number: number): Promise<void> {
  if (number % 2 === 0) return
  const { status, text } = await runLimited('e2fsck', ['-p', file])
  if (status === null || !REPAIRED.includes(status))
    throw new Error(`e2fsck -p: ${status}: ${text}`)
}

/** What is marked clean needs no recovery. */
async function checkClean(file: string): Promise<void> {
  const superblock = await runSound('dumpe2fs', ['-h', file])
  if (/needs_recovery/.test(superblock) || !/state: +clean\n/.test(superblock))
    throw new Error('it says clean of a file system that needs recovery')
  await runSound('e2fsck', ['-fn', file])
}
