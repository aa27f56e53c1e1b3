/** Node's inspector. A process that can connect to it runs code as the user of guestd. */

const OPTION = '--disable-sigusr1'

/**
 * Closes an inspector that a SIGUSR1 has opened before guestd ignores that signal. With `--disable-sigusr1`, which
 * every start of guestd passes to Node, it cannot be open, and nothing is loaded. An inspector of an `--inspect` option stays
 * open.
 */
export async function closeInspector(): Promise<void> {
  const options = [...process.execArgv, process.env.NODE_OPTIONS ?? '']
  if (options.some(one => one.includes(OPTION) || /--inspect(-brk|-wait)?(=|$|\s)/.test(one)))
    return
  const { close } = await import('node:inspector')
  close()
}
