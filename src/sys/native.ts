/** Types of the native addon. The C files document the functions. */
import { createRequire } from 'node:module'

export interface LaunchSpec {
  readonly argv: readonly string[]
  /** `NAME=value` strings: the whole environment. */
  readonly env: readonly string[]
  /** Candidates for exec, tried in turn as execvp(3) does. */
  readonly paths: readonly string[]
  readonly cwd: string
  readonly oomScoreAdj: string
  /** Descriptors above 2, which the launch closes. `stdin` -1 stands for /dev/null; `stderr` may be `stdout`. */
  readonly stdin: number
  readonly stdout: number
  readonly stderr: number
  readonly switchUser: boolean
  readonly uid: number
  readonly gid: number
  readonly groups: readonly number[]
  readonly nofileSoft: number
  readonly nofileHard: number
  /** Directory of the cgroup to create and to start in; `null`: no cgroup. */
  readonly cgroupPath: string | null
  /** File name, value, file name, value, …: written into the cgroup before the process starts. */
  readonly cgroupWrites: readonly string[]
}

export interface UserEntry {
  readonly name: string
  readonly uid: number
  readonly gid: number
  readonly home: string
  readonly shell: string
  readonly groups: readonly number[]
}

/** A reader of a pipe in the addon. */
export interface NativeReader {
  readonly native: unique symbol
}

interface Native {
  readonly constants: {
    /** The largest uid and gid: 2^32 - 1 means "leave as it is" to the kernel. */
    readonly maxId: number
    /** signal(7): the largest signal number. */
    readonly lastSignal: number
    /** Numbers in each row of `processTable()`. */
    readonly processColumns: number
  }
  launch(
    spec: LaunchSpec,
    done: (
      pid: number,
      pidfd: number,
      stage: string | null,
      errno: string | null,
      interpreter: string | null,
      startTicks: number,
    ) => void,
  ): number
  abandonLaunch(job: number): void
  watchExit(
    pid: number,
    pidfd: number,
    done: (exitCode: number, signal: number, cpuMicroseconds: number, maxRssKiB: number) => void,
  ): void
  sendSignal(pidfd: number, signal: number): void
  openPidfd(pid: number): number
  reapOrphans(): void
  processTable(): Float64Array
  exitNow(code: number): never
  trimMemory(): void
  ignoreSignals(numbers: readonly number[]): void
  pipe(bytes: number): [read: number, write: number]
  readPipe(fd: number, buffer: () => Uint8Array, read: (length: number) => void): NativeReader
  pausePipe(reader: NativeReader, paused: boolean): void
  closePipe(reader: NativeReader): void
  pendingBytes(reader: NativeReader): number
  drainPipe(reader: NativeReader, bytes: number): number
  lockFile(fd: number): boolean
  lockImage(fd: number): boolean
  isImageLocked(fd: number): boolean
  nofileLimit(): [soft: number, hard: number]
  findUser(nameOrUid: string | number): UserEntry | null
  vsockListen(port: number): number
  vsockConnect(cid: number, port: number): number
  vsockConnected(fd: number, done: (errno: string | null) => void): void
  vsockPeer(fd: number): number
  socketFamily(fd: number): 'vsock' | 'unix' | 'inet' | 'other'
  peerGone(fd: number): boolean
  notifySocket(): number
  notifySend(fd: number, address: string, message: string, fds: readonly number[]): string | null
}

const ADDON = 'guestd_native.node'

/** Beside the bundle; in `dist/` when guestd runs from the source tree. */
function load(): Native {
  const require = createRequire(import.meta.url)
  const besideSource = import.meta.url.endsWith('/src/sys/native.ts')
  return require(besideSource ? `../../dist/${ADDON}` : `./${ADDON}`)
}

export const native: Native = load()
