/** The types of the settings. Every room may import them; only main reads the settings. */
import type { TableSettings } from './settings.ts'

export type { ListenAddress } from '../util/listen-uri.ts'
export type { LogLevel } from './settings.ts'

/** Every setting with its value in force, frozen. */
export interface Config extends TableSettings, FromManager {
  /** The value of `authToken` or the content of `authTokenFile`; null: requests need no token. */
  readonly token: string | null
}

/** What a service manager such as systemd gives guestd. */
export interface FromManager {
  /** Descriptors that listen already (sd_listen_fds(3)). Empty without socket activation. */
  readonly inheritedFds: readonly number[]
  /** Descriptors that an earlier guestd stored with the manager, by name. */
  readonly storedFds: Readonly<Record<string, number>>
  /** Where sd_notify(3) sends to: a path or an abstract name; null: no manager listens. */
  readonly notifySocket: string | null
  /** Period of the watchdog in milliseconds (sd_watchdog_enabled(3)); null: none. */
  readonly watchdogMs: number | null
}

/** A bad setting: the message names the key, where the value came from and what is allowed. */
export interface BadSetting {
  /** Such as `output.ringBytes`; `null` for a source that cannot be read. */
  readonly key: string | null
  readonly message: string
}

/** Adds a bad setting to the list: all of them are reported together. */
export type AddBad = (key: string | null, message: string) => void
