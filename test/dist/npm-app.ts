/** An empty project that installs the npm package for hosts, without a network. */

import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import { findTool } from '../../rootfs/tools.ts'
import type { Teardown } from '../helpers/guestd.ts'
import { makeScratch } from '../helpers/scratch.ts'

export const checkout = join(import.meta.dirname, '../..')
export const npm = join(checkout, 'scripts/npm.sh')
const bin = join(checkout, 'node_modules/.bin')
export const tools = {
  tsc: join(bin, 'tsc'),
  esbuild: join(bin, 'esbuild'),
  attw: join(bin, 'attw'),
  publint: join(bin, 'publint'),
}

export interface App {
  /** The folder of the project. */
  readonly folder: string
  /** The folder of the package in it. */
  readonly installed: string
  /** The package as `npm pack` makes it. */
  readonly tarball: string
  /** Runs a program in the project, and returns what it prints. @throws with its output if it fails */
  run(...command: string[]): Promise<string>
}

export async function installApp(t: Teardown): Promise<App> {
  const home = makeScratch(t)
  const packed = makeScratch(t)
  const folder = makeScratch(t)
  const packageFolder = join(checkout, 'dist/npm')
  const pack = ['pack', packageFolder, '--loglevel=error', '--pack-destination', packed]
  await execa('sh', [npm, ...pack], { cwd: checkout })
  const [name = ''] = await readdir(packed)
  const tarball = join(packed, name)
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
  const run = (...command: string[]) => offline(folder, home, command)
  await run('sh', npm, 'install', '--loglevel=error', tarball)
  return { folder, installed: join(folder, 'node_modules/guestd'), tarball, run }
}

/** Runs a program in a network namespace that has nothing but a loopback device, which is down. */
async function offline(cwd: string, home: string, command: readonly string[]): Promise<string> {
  const { PATH = '' } = process.env
  const asRoot = process.getuid?.() === 0 ? [] : ['--map-root-user']
  const clean = ['env', '-i', `PATH=${PATH}`, `HOME=${home}`]
  const args = [...asRoot, '--net', '--', ...clean, ...command]
  const { stdout } = await execa(await findTool('unshare'), args, { cwd, stdin: 'ignore' })
  return stdout
}
