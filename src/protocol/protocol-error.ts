/** Why a peer's bytes could not be read as frames. */

/**
 * `oversize`: a frame is larger than the limit. `checksum`: bytes were changed on the way.
 * `malformed`: they are no frame. `truncated`: they stop inside one.
 */
export type ProtocolErrorKind = 'oversize' | 'checksum' | 'malformed' | 'truncated'

/** Bytes from a peer that are not what the protocol says. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError'
  readonly kind: ProtocolErrorKind

  constructor(kind: ProtocolErrorKind, message: string, options?: { readonly cause?: unknown }) {
    super(message, options)
    this.kind = kind
  }
}
