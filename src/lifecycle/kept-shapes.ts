/** The shapes of what the files of `runDir` hold: content of another shape counts as none. */

export type Check = (value: unknown) => boolean

const text: Check = value => typeof value === 'string'
const flag: Check = value => typeof value === 'boolean'
const number: Check = value => typeof value === 'number' && Number.isFinite(value)
const optional =
  (check: Check): Check =>
  value =>
    value === undefined || check(value)
const orNull =
  (check: Check): Check =>
  value =>
    value === null || check(value)
const all =
  (check: Check): Check =>
  value =>
    isObject(value) && Object.values(value).every(check)
const shape =
  (fields: Readonly<Record<string, Check>>): Check =>
  value => {
    if (!isObject(value)) return false
    const members = new Map<string, unknown>(Object.entries(value))
    return Object.entries(fields).every(([name, check]) => check(members.get(name)))
  }

export const isBoot = shape({ firstStartMs: number })

export const isSession = shape({
  id: text,
  runtimeVersion: optional(text),
  env: optional(all(text)),
  limits: optional(all(number)),
  idleMs: optional(number),
  lifetimeMs: optional(number),
})

export const isStop = shape({ reason: text, receipt: shape({ at: text, clean: flag }) })

const isFolder = shape({
  kind: value => value === 'folder',
  device: text,
  inode: text,
  bornNs: text,
})
const isVolume = shape({
  kind: value => value === 'volume',
  uuid: orNull(text),
  generation: orNull(number),
})
export const isIdentity: Check = value => isFolder(value) || isVolume(value)

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
