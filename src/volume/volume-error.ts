import { messageOf } from '../util/message-of.ts'

/** A volume on the host could not be made, read or changed: the message says why. */
export class VolumeError extends Error {
  override readonly name: string = 'VolumeError'
}

export function asVolumeError(thrown: unknown): VolumeError {
  if (thrown instanceof VolumeError) return thrown
  const { code, path = '' }: NodeJS.ErrnoException =
    thrown instanceof Error ? thrown : new Error(String(thrown))
  if (code === 'ENOENT') return new VolumeError(`there is no ${path}`)
  if (code === 'ENOTDIR') return new VolumeError(`${path} is no folder`)
  if (code === 'EACCES') return new VolumeError(`${path}: permission denied (EACCES)`)
  return new VolumeError(messageOf(thrown))
}
