/** Node's inspector: every process that reaches it runs code as guestd's own user. */

const OPTION = '--disable-sigusr1'

/**
 * Closes an inspector that a SIGUSR1 opened before guestd ignored that signal. With `--disable-sigusr1`,
 * which every way to start guestd gives to Node, none can be open, and nothing is loaded. An inspector that
 * an option asks for stays.
 */
export async function closeInspector(): Promise<void> {
  const options = [...process.execArgv, process.env.NODE_OPTIONS ?? '']
  if (options.some(one => one.includes(OPTION) || /--inspect(-brk|-wait)?(=|$|\s)/.test(one)))
    return
  const { close } = await import('node:inspector')
  close()
}
