/** How V8 got guestd's code: the launcher passes it to the script that the bundler makes. */
declare const GUESTD_CODE_CACHE: 'used' | 'rejected' | 'missing' | undefined

/** `null` when run from the source tree. */
export const codeCache = typeof GUESTD_CODE_CACHE === 'string' ? GUESTD_CODE_CACHE : null
