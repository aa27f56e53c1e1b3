/** Opens the listeners. */
import { once } from 'node:events'
import { chmodSync, chownSync, existsSync, lstatSync, unlinkSync } from 'node:fs'
import type { Server } from 'node:http'
import { connect, type Socket } from 'node:net'
import { dirname } from 'node:path'
import type { ListenAddress } from '../config/types.ts'
import {
  HOST_CID,
  listenVsock,
  peerCid,
  type StreamHandle,
  socketFamily,
  wrapListener,
} from '../sys/vsock.ts'
import { errorCode } from '../util/error-code.ts'

/** umask while a Unix socket is bound: only its owner can connect until it has its final mode. */
const SOCKET_UMASK = 0o177

/** Mode of a socket that is bound under {@link SOCKET_UMASK}. */
const OWNER_ONLY = 0o600

/** Does not change the owner (chown(2)). */
const KEEP_OWNER = -1

export interface SocketFile {
  readonly mode: number
  /** `null`: the group of guestd itself. */
  readonly gid: number | null
}

/**
 * Makes the server listen on the address. Over vsock only the host is served: a process in the guest connects with
 * another CID and is refused.
 *
 * @param refused called with the CID of each refused connection
 * @param file owner and mode of the socket file of a `unix:` address
 * @returns the address that the server listens on, with the port that the kernel chose for port 0
 * @throws Error with a `code` such as EADDRINUSE
 */
export async function openListener(
  server: Server,
  address: ListenAddress,
  refused: (cid: number) => void,
  file: SocketFile,
): Promise<string> {
  const vsock = () => onlyTheHost(server, refused)
  switch (address.scheme) {
    case 'vsock':
      vsock()
      await listen(server, () => listenHandle(server, listenVsock(address.port)))
      return address.uri
    case 'unix':
      checkFolder(address.path)
      await removeStaleSocket(address.path)
      await listen(server, () => listenPath(server, address.path))
      // Not earlier: if listening fails, the file of this name belongs to another process.
      setOwnerAndMode(address.path, file)
      return address.uri
    case 'tcp':
      await listen(server, () => server.listen(address.port, address.host))
      return `tcp:${address.host}:${boundPort(server) ?? address.port}`
    case 'fd':
      if (socketFamily(address.fd) !== 'vsock') {
        await listen(server, () => server.listen({ fd: address.fd }))
        return address.uri
      }
      vsock()
      await listen(server, () => listenHandle(server, wrapListener(address.fd)))
      return address.uri
  }
}

async function listen(server: Server, start: () => void): Promise<void> {
  const listening = once(server, 'listening')
  start()
  await listening
}

/** Node's types do not have this form of `listen`. */
function listenHandle(server: Server, handle: StreamHandle): void {
  server.listen(handle)
}

function listenPath(server: Server, path: string): void {
  const before = process.umask(SOCKET_UMASK)
  try {
    server.listen(path)
  } finally {
    process.umask(before)
  }
}

function setOwnerAndMode(path: string, { mode, gid }: SocketFile): void {
  if (gid !== null) chownSync(path, KEEP_OWNER, gid)
  if (mode !== OWNER_ONLY) chmodSync(path, mode)
}

/** libuv reports EACCES if the folder is missing. */
function checkFolder(path: string): void {
  if (existsSync(dirname(path))) return
  const code = 'ENOENT'
  throw Object.assign(new Error(`listen ${code}: the folder of ${path} does not exist`), { code })
}

/** Removes the socket file of a daemon that was killed. That of a running one stays, and is an error. */
async function removeStaleSocket(path: string): Promise<void> {
  if (!lstatSync(path, { throwIfNoEntry: false })?.isSocket()) return
  const socket = connect(path)
  try {
    await once(socket, 'connect')
  } catch (error) {
    // A living daemon causes every other error, such as that of a full backlog.
    if (errorCode(error) !== 'ECONNREFUSED') throw error
    unlinkSync(path)
    return
  } finally {
    socket.destroy()
  }
  throw Object.assign(new Error(`${path} is in use by another process`), { code: 'EADDRINUSE' })
}

function onlyTheHost(server: Server, refused: (cid: number) => void): void {
  server.prependListener('connection', (socket: Socket) => {
    const cid = peerCid(socket)
    if (cid === HOST_CID) return
    refused(cid ?? -1)
    socket.destroy()
  })
}

function boundPort(server: Server): number | null {
  const address = server.address()
  return address !== null && typeof address === 'object' ? address.port : null
}
