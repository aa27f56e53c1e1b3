import type { Config } from './config.ts'

/** One setting that is bad: the message names the key, where it came from and what is allowed. */
export interface BadSetting {
  /** The key to blame, such as `output.ringBytes`; `null` for a source that cannot be read. */
  readonly key: string | null
  readonly message: string
}

/** Notes a bad setting, so that all of them are told at once. */
export type Complain = (key: string | null, message: string) => void

/** guestd was configured badly: every bad setting, a line of the message each. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  /** The process ends with it, as shells have it for bad usage. */
  readonly exitCode = 2
  readonly bad: readonly BadSetting[]
  readonly action: 'run' | 'check'
  /** With the default in the place of each bad value, and what the service manager handed over. */
  readonly config: Config

  constructor(bad: readonly BadSetting[], action: 'run' | 'check', config: Config) {
    super(bad.map(({ message }) => message).join('\n'))
    this.bad = bad
    this.action = action
    this.config = config
  }
}
