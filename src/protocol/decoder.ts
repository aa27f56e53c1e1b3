/** What the decoders of both encodings have in common. */

import type { Frame } from './frames.ts'

export interface FrameDecoder {
  /**
   * The frames that a chunk completes, in order. The bytes of `output` frames may be views of the
   * chunks, which therefore have to stay as they are; one large `output` frame may come out as
   * several, cut between characters, each with its own cursor.
   *
   * @throws ProtocolError `oversize`, `checksum` or `malformed`; after that the decoder is of no use
   */
  push(chunk: Uint8Array): Frame[]
  /** @throws ProtocolError `truncated` where the stream stops inside a frame */
  end(): void
}
