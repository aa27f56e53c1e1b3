/** Limits of the calls that mount a volume. */

/** The replay of a journal takes seconds; after a crash ext4's multiple mount protection takes tens of seconds. */
export const MOUNT_LIMIT_MS = 120_000
/** For calls that write nothing, but may wait for a journal that is being written. */
export const PROBE_LIMIT_MS = 30_000
