/** Whether the long forms of tests run: `make soak`. */
export const LONG = process.env.GUESTD_LONG === '1'
