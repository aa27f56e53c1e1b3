/** The error for bytes of a peer that are not frames. */

/**
 * `oversize`: a frame is larger than the limit. `checksum`: bytes have changed on the way. `malformed`: the bytes are not
 * a frame. `truncated`: the stream stops inside a frame.
 */
export type ProtocolErrorKind = 'oversize' | 'checksum' | 'malformed' | 'truncated'

export class ProtocolError extends Error {
  override readonly name = 'ProtocolError'
  readonly kind: ProtocolErrorKind

  constructor(kind: ProtocolErrorKind, message: string, options?: { readonly cause?: unknown }) {
    super(message, options)
    this.kind = kind
  }
}
