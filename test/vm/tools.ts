/** The programs with which tests attack a guest from inside: C, compiled when a test starts. */

import { mkdirSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { execa } from 'execa'
import { makeDisk } from '../../rootfs/tools.ts'
import type { GuestdClient } from '../../src/client/index.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { mountDisk } from './ask.ts'

/** Where the programs are in the guest, by the names of their sources. */
export const TOOLS = '/attacks'

const SOURCES = path.join(import.meta.dirname, 'attacks')
const SERIAL = 'attacks'
const DISK_SIZE = '32M'
const FLAGS = ['-O2', '-Wall', '-Wextra', '-Werror', '-static', '-pthread']

/** A disk with the programs, linked statically, for `extraDisks` of a machine. */
export async function makeToolsDisk(t: { teardown(fn: () => void): void }) {
  const folder = path.join(makeScratch(t), 'tools')
  mkdirSync(folder)
  for (const source of readdirSync(SOURCES)) {
    const program = path.join(folder, path.basename(source, '.c'))
    await execa('gcc', [...FLAGS, '-o', program, path.join(SOURCES, source)])
  }
  await makeDisk(folder, `${folder}.ext4`, DISK_SIZE)
  return { file: `${folder}.ext4`, serial: SERIAL, mode: 'ro' } as const
}

/** Mounts it in the guest that has it. */
export async function mountTools(client: GuestdClient): Promise<void> {
  await mountDisk(client, SERIAL, TOOLS)
}
