/**
 * One command to a running QEMU, over its Unix socket: the power button, keys, a pause.
 * Source: `docs/interop/qmp-spec.rst` in QEMU.
 */

import { once } from 'node:events'
import net from 'node:net'
import { createInterface } from 'node:readline'
import { VmError } from '../rootfs/vm-error.ts'

/** QEMU answers within milliseconds; a translated guest can hold its big lock for seconds. */
const ANSWER_LIMIT_MS = 30_000

/**
 * @returns the command's own result
 * @throws VmError with QEMU's own words if it refuses, or does not answer
 */
export async function qmp(
  socketPath: string,
  execute: string,
  args: Record<string, unknown> = {},
): Promise<unknown> {
  const socket = net.connect(socketPath)
  try {
    await once(socket, 'connect')
    socket.setTimeout(ANSWER_LIMIT_MS, () => socket.destroy())
    const requests = [{ execute: 'qmp_capabilities' }, { execute, arguments: args, id: execute }]
    for (const request of requests) socket.write(`${JSON.stringify(request)}\n`)
    for await (const line of createInterface({ input: socket })) {
      const message: unknown = JSON.parse(line)
      if (!isAnswer(message, execute)) continue
      if (message.error === undefined) return message.return
      throw new VmError(`QEMU refuses ${execute}: ${JSON.stringify(message.error)}`)
    }
    throw new VmError(`QEMU does not answer to ${execute}`)
  } finally {
    socket.destroy()
  }
}

/** The greeting, events and the answer to the first request have another id, or none. */
function isAnswer(message: unknown, id: string): message is { error?: unknown; return?: unknown } {
  return typeof message === 'object' && message !== null && 'id' in message && message.id === id
}
