import { messageOf } from '../util/message-of.ts'

/** A volume on the host could not be made, read or changed: the message says why. */
export class VolumeError extends Error {
  override readonly name: string = 'VolumeError'

  static from(error: unknown): VolumeError {
    if (error instanceof VolumeError) return error
    const { code, path = '' }: NodeJS.ErrnoException =
      error instanceof Error ? error : new Error(String(error))
    if (code === 'ENOENT') return new VolumeError(`there is no ${path}`)
    if (code === 'ENOTDIR') return new VolumeError(`${path} is no folder`)
    if (code === 'EACCES') return new VolumeError(`${path}: permission denied (EACCES)`)
    return new VolumeError(messageOf(error))
  }
}
