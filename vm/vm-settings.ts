/** What `make vm` takes: `VOLUME=`, `MEM=`, `CPUS=`, `KERNEL=`, `AGENT=`, `INCLUDE=`, `NET=`. */

import { existsSync, statSync } from 'node:fs'
import { access } from 'node:fs/promises'
import path from 'node:path'
import type { ImageOptions } from '../rootfs/image.ts'
import { VmError } from '../rootfs/vm-error.ts'
import { messageOf } from '../src/util/message-of.ts'
import type { VmOptions } from './vm.ts'
import { makeVolume } from './workspace-volume.ts'

/** Less does not boot Debian; more than QEMU's address space is a typing error. */
const MEMORY_MIB = { min: 128, max: 1024 * 1024 }
/** As many as the kernel of the image was built for. */
const CPUS = { min: 1, max: 512 }

export interface VmSettings {
  machine: VmOptions
  image: ImageOptions
}

/**
 * From the environment; an empty variable counts as absent. A volume that is not there is made.
 * @throws VmError that names the variable
 */
export async function readVmSettings(env: NodeJS.ProcessEnv): Promise<VmSettings> {
  const machine: VmOptions = {}
  const image: ImageOptions = {}
  const { VOLUME, MEM, CPUS: cpus, KERNEL, AGENT, INCLUDE, NET } = env
  if (VOLUME) machine.volume = await volumeFile(VOLUME)
  if (MEM) machine.memoryMiB = wholeNumber('MEM', MEM.replace(/(M|MiB)$/, ''), MEMORY_MIB)
  if (cpus) machine.cpus = wholeNumber('CPUS', cpus, CPUS)
  if (KERNEL) machine.kernel = await existing('KERNEL', KERNEL)
  if (NET) machine.network = wholeNumber('NET', NET, { min: 0, max: 1 }) === 1
  if (AGENT) image.agent = await existing('AGENT', AGENT)
  if (INCLUDE) image.include = INCLUDE.split(/[\s,]+/).filter(name => name !== '')
  return { machine, image }
}

async function volumeFile(name: string): Promise<string> {
  const file = path.resolve(name)
  if (existsSync(file)) {
    if (!statSync(file).isDirectory()) return file
    throw new VmError(`VOLUME=${name}: is a folder`)
  }
  await makeVolume(file).catch((error: unknown) => {
    throw new VmError(`VOLUME=${name}: ${messageOf(error)}`)
  })
  return file
}

async function existing(variable: string, name: string): Promise<string> {
  const file = path.resolve(name)
  await access(file).catch(() => {
    throw new VmError(`${variable}=${name}: there is no such file`)
  })
  return file
}

function wholeNumber(variable: string, text: string, { min, max }: typeof CPUS): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= min && value <= max) return value
  throw new VmError(`${variable}=${text}: not a whole number from ${min} to ${max}`)
}
