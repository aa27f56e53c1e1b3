/** The version of this package, put in by the bundler; run from the source tree it is `dev`. */
declare const GUESTD_VERSION: string | undefined

export const version: string = typeof GUESTD_VERSION === 'string' ? GUESTD_VERSION : '0.0.0-dev'
