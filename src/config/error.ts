/** guestd was configured badly: the message names the key, where it came from and what is allowed. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  /** The process ends with it, as shells have it for bad usage. */
  readonly exitCode = 2
  /** The key to blame, such as `output.ringBytes`; `null` for a command line that cannot be read. */
  readonly key: string | null

  constructor(key: string | null, message: string) {
    super(message)
    this.key = key
  }
}
