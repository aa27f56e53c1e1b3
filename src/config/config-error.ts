import type { BadSetting, Config } from './types.ts'

/** The settings are bad: the message has one line for each bad setting. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  /** The exit code of guestd: shells use it for bad usage. */
  readonly exitCode = 2
  readonly bad: readonly BadSetting[]
  readonly action: 'run' | 'check'
  /** The settings, with the default in place of each bad value. */
  readonly config: Config

  constructor(bad: readonly BadSetting[], action: 'run' | 'check', config: Config) {
    super(bad.map(({ message }) => message).join('\n'))
    this.bad = bad
    this.action = action
    this.config = config
  }
}
