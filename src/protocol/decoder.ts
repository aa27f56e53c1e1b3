/** What the decoders of both encodings have in common. */

import type { Frame } from './frames.ts'

export interface FrameDecoder {
  /**
   * The frames that a chunk completes, in order; the bytes of `output` frames may be views of the
   * chunk, which therefore has to stay as it is.
   *
   * @throws ProtocolError `oversize`, `checksum` or `malformed`; after that the decoder is of no use
   */
  push(chunk: Uint8Array): Frame[]
  /** @throws ProtocolError `truncated` where the stream stops inside a frame */
  end(): void
}
