/** A volume on the host could not be made, read or changed: the message says why. */
export class VolumeError extends Error {
  override readonly name: string = 'VolumeError'

  static from(error: unknown): VolumeError {
    if (error instanceof VolumeError) return error
    return new VolumeError(error instanceof Error ? error.message : String(error))
  }
}
