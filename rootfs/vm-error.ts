/** What goes wrong with images and machines, as one kind of error. */

import { stripVTControlCharacters } from 'node:util'

/** Of the console's end: enough for a kernel panic or a unit's failure with what led to it. */
const TAIL_LINES = 40

export class VmError extends Error {
  override name = 'VmError'

  /** @param options.console the guest's console so far; its end is made part of the message */
  constructor(message: string, options: { console?: string; cause?: unknown } = {}) {
    const tail = options.console === undefined ? '' : consoleTail(options.console)
    super(message + tail, { cause: options.cause })
  }
}

function consoleTail(text: string): string {
  // The firmware and systemd send cursor movements and colours, which a log has no use for.
  const plain = stripVTControlCharacters(text).replaceAll('\r', '')
  const lines = plain.split('\n').filter(line => line.trim() !== '')
  if (lines.length === 0) return '\nThe console is empty: the kernel did not start.'
  return `\nThe console ends:\n${lines.slice(-TAIL_LINES).join('\n')}`
}
