/** Whether what the workloads wrote is there, on a file system that is mounted. */
import { createHash } from 'node:crypto'
import { existsSync, globSync, lstatSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { runSound } from './limited.ts'
import type { NoteText } from './notes.ts'

export type Kind = 'append' | 'fsync' | 'rename' | 'git' | 'sqlite' | 'names' | 'trees'

/** An npm package of some 1,400 small files. */
export const TREE = join(import.meta.dirname, '../../node_modules/typebox')
const RECORD_BYTES = 64
const SQLITE = join(import.meta.dirname, 'count-rows.ts')

/**
 * @param claim `undefined`: nothing has to be there, but what is there has to be whole
 * @throws Error that says what is missing or broken
 */
export async function checkContent(
  kind: Kind,
  name: string,
  folder: string,
  claim: NoteText | undefined,
): Promise<void> {
  const at = join(folder, name)
  if (kind === 'append' || kind === 'fsync') checkRecords(at, name, claim?.n ?? 0)
  else if (kind === 'rename') checkRenamed(join(at, 'file'), name, claim?.n ?? 0)
  else if (kind === 'names') checkNames(folder, name, claim?.n ?? 0)
  else if (kind === 'git') await checkGit(at, claim)
  else if (kind === 'sqlite') await checkSqlite(at, claim?.n ?? 0)
  else for (let n = 1; n <= (claim?.n ?? 0); n++) checkTree(join(folder, `tree-${n}`))
}

/** The workloads write it the same way. */
function record(name: string, n: number): string {
  return `${`${name} ${n} `.padEnd(RECORD_BYTES - 1, '.')}\n`
}

function checkRecords(path: string, name: string, claimed: number): void {
  if (claimed === 0) return
  const bytes = readFileSync(path)
  for (let n = 1; n <= claimed; n++) {
    const found = bytes.toString('latin1', (n - 1) * RECORD_BYTES, n * RECORD_BYTES)
    if (found !== record(name, n)) throw new Error(`record ${n} of ${claimed} is ${wordsOf(found)}`)
  }
}

function checkRenamed(path: string, name: string, claimed: number): void {
  if (claimed === 0 && !existsSync(path)) return
  const text = readFileSync(path, 'latin1')
  const n = Number(/ (\d+) /.exec(text)?.[1])
  if (!(n >= claimed) || text !== record(name, n))
    throw new Error(`record ${claimed} was acknowledged, there is ${wordsOf(text)}`)
}

/** Its folder has one of two names: a link may have the first one. */
function checkNames(folder: string, name: string, claimed: number): void {
  const places = ['lost+found', `.${name}`].map(at => join(folder, at))
  const at = places.find(place => lstatSync(place, { throwIfNoEntry: false })?.isDirectory())
  if (at !== undefined) checkRenamed(join(at, 'file'), name, claimed)
  else if (claimed > 0) throw new Error(`record ${claimed} was acknowledged, there is no folder`)
}

function wordsOf(text: string): string {
  return /^\0+$/.test(text) ? 'zeros' : JSON.stringify(text)
}

/** A repository is never corrupt, once its making was flushed; then it has at least that commit. */
async function checkGit(at: string, claim: NoteText | undefined): Promise<void> {
  if (claim?.hash === undefined) return
  // The files belong to a user of the guest.
  const env = {
    GIT_CONFIG_COUNT: '1',
    GIT_CONFIG_KEY_0: 'safe.directory',
    GIT_CONFIG_VALUE_0: '*',
  }
  const said = await runSound('git', ['-C', at, 'fsck', '--full', '--no-dangling'], env)
  if (/corrupt|missing|error/.test(said)) throw new Error(`git fsck: ${said}`)
  await runSound('git', ['-C', at, 'merge-base', '--is-ancestor', claim.hash, 'HEAD'], env)
}

async function checkSqlite(at: string, claimed: number): Promise<void> {
  if (claimed === 0 && !existsSync(at)) return
  const said = await runSound(process.execPath, [
    '--disable-warning=ExperimentalWarning',
    SQLITE,
    at,
  ])
  const { integrity, rows, last } = JSON.parse(said)
  if (integrity !== 'ok') throw new Error(`integrity_check: ${integrity}`)
  if (rows !== last || rows < claimed)
    throw new Error(
      `transaction ${claimed} was acknowledged, there are ${rows}, the last is ${last}`,
    )
}

function checkTree(at: string): void {
  const expected = treeOf(TREE)
  const found = treeOf(at)
  for (const [path, content] of expected)
    if (found.get(path) !== content) throw new Error(`${path}: ${found.get(path) ?? 'is missing'}`)
  if (found.size !== expected.size) throw new Error(`${found.size} files, not ${expected.size}`)
}

function treeOf(folder: string): ReadonlyMap<string, string> {
  const known = folder === TREE ? source : null
  if (known !== null) return known
  const files = new Map<string, string>()
  for (const path of globSync('**', { cwd: folder }).sort()) {
    const stats = lstatSync(join(folder, path))
    if (stats.isFile()) files.set(path, sha256(readFileSync(join(folder, path))))
  }
  if (folder === TREE) source = files
  return files
}

let source: ReadonlyMap<string, string> | null = null

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}
