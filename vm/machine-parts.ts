/** What every machine has: its folder, the programs that it consists of, and the ways to end it. */

import { randomInt } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { type Child, startChild } from '../rootfs/child.ts'
import { findTool, findVhostDevice } from '../rootfs/tools.ts'
import { VmError } from '../rootfs/vm-error.ts'
import { messageOf } from '../src/util/message-of.ts'
import { qmp } from './qmp.ts'
import { createRunFolder, type RunFolder } from './run-folder.ts'
import { until } from './wait.ts'

/** vhost-device-vsock makes its socket within some 10 ms. */
const VHOST_LIMIT_MS = 10_000

export interface MachineParts {
  readonly folder: RunFolder
  /** The file that gets what the guest writes to its console. */
  readonly consoleFile: string
  readConsole: () => Promise<string>
  startQemu: (args: readonly string[]) => Promise<Child>
  /** Starts the host side of the vsock device, and waits until QEMU can connect to it. */
  startVsock: () => Promise<void>
  qmp: (execute: string, args?: Record<string, unknown>) => Promise<unknown>
  /** Ends all programs and removes the folder. */
  end: (signal: 'SIGTERM' | 'SIGKILL') => Promise<void>
}

/**
 * Creates the parts and calls `start` with them; ends them if it fails.
 * @param consoleFile default: one in the machine's folder
 * @throws VmError with the end of the console
 */
export async function withParts<T>(
  consoleFile: string | undefined,
  start: (parts: MachineParts) => Promise<T>,
): Promise<T> {
  const parts = await createParts(consoleFile)
  try {
    return await start(parts)
  } catch (cause) {
    const console = await parts.readConsole()
    await parts.end('SIGKILL')
    throw new VmError(messageOf(cause), { console, cause })
  }
}

async function createParts(consoleFile: string | undefined): Promise<MachineParts> {
  const [vhostDevice, qemu] = [await findVhostDevice(), await findTool('qemu-system-x86_64')]
  const folder = await createRunFolder()
  const file = consoleFile ?? folder.console
  const children: Child[] = []
  const start = async (program: string, args: readonly string[]): Promise<Child> => {
    const child = await startChild(program, args)
    children.push(child)
    return child
  }
  return {
    folder,
    consoleFile: file,
    readConsole: () => readFile(file, 'utf8').catch(() => ''),
    startQemu: args => start(qemu, args),
    async startVsock() {
      const vhost = await start(vhostDevice, vhostArgs(folder))
      await until(() => folder.hasVhostSocket(), { ...VHOST_WAIT, exited: vhost.exited })
    },
    qmp: (execute, args) => qmp(folder.qmp, execute, args),
    async end(signal) {
      for (const child of children.splice(0).reverse()) await child.end(signal)
      await folder.remove()
    },
  }
}

const VHOST_WAIT = { what: 'vhost-device-vsock’s socket', limitMs: VHOST_LIMIT_MS, pollMs: 10 }

/** The device is this guest's alone; its CID is random, so that no log confuses two guests. */
function vhostArgs({ vsock, vhostSocket }: RunFolder): string[] {
  const [firstGuestCid, anyCid] = [3, 2 ** 32 - 1]
  const cid = randomInt(firstGuestCid, anyCid)
  return ['--vm', `guest-cid=${cid},uds-path=${vsock},socket=${vhostSocket}`]
}
