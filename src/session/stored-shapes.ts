/** The shapes of what the files of `runDir` hold: content of another shape counts as none. */
import {
  type Check,
  isFlag,
  isNumber,
  isText,
  oneOf,
  orMissing,
  orNull,
  recordOf,
  shape,
} from '../util/shape.ts'

export const isBoot = shape({ firstStartMs: isNumber })

export const isHostClock = shape({ hostMs: isNumber, monotonicMs: isNumber, wallMs: isNumber })

export const isSession = shape({
  id: isText,
  runtimeVersion: orMissing(isText),
  env: orMissing(recordOf(isText)),
  limits: orMissing(recordOf(isNumber)),
  idleMs: orMissing(isNumber),
  lifetimeMs: orMissing(isNumber),
})

export const isStop = shape({ reason: isText, receipt: shape({ at: isText, clean: isFlag }) })

const isFolder = shape({ kind: oneOf('folder'), device: isText, inode: isText, bornNs: isText })
const isVolume = shape({
  kind: oneOf('volume'),
  uuid: orNull(isText),
  generation: orNull(isNumber),
})
export const isIdentity: Check = value => isFolder(value) || isVolume(value)
