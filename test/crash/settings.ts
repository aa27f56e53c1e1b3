/** What `make test` and `make crash` differ in, and where the recording is. */
import { join } from 'node:path'

export const FOLDER = join(import.meta.dirname, '../../build/crash')
export const DEFAULT_POINTS = 200
/** `GUESTD_CRASH_POINTS`, or the default. */
export const POINTS = Number(process.env.GUESTD_CRASH_POINTS ?? DEFAULT_POINTS)
