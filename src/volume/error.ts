/** A volume on the host could not be made, read or changed: the message says why. */
export class VolumeError extends Error {
  override readonly name = 'VolumeError'
}
