/** What both VMMs' configurations are made of. */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as Type from 'typebox'

export const root = join(import.meta.dirname, '../../..')

/** Longest path of a Unix socket in bytes, `sun_path` less its NUL (unix(7)). */
const MAX_SUN_PATH_BYTES = 107
/** Longest name of a network interface: IFNAMSIZ less its NUL (netdevice(7)). */
const MAX_INTERFACE_NAME = 15
/** 0 to 2 are the hypervisor, the loopback and the host, the last number is "any" (vsock(7)). */
const GUEST_CIDS = { minimum: 3, maximum: 2 ** 32 - 2 }

export const file = Type.String({ minLength: 1 })
export const unixSocket = Type.String({ minLength: 1, maxLength: MAX_SUN_PATH_BYTES })
export const tapName = Type.String({ minLength: 1, maxLength: MAX_INTERFACE_NAME })
export const macAddress = Type.String({ pattern: '^([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}$' })
export const positive = Type.Integer({ minimum: 1 })
export const guestCid = Type.Integer(GUEST_CIDS)

/** An object with no other properties than these, of which some are required. */
export function strict<P extends Type.TProperties, R extends keyof P & string>(
  properties: P,
  required: readonly R[],
) {
  const names: readonly string[] = required
  const optional = Object.entries(properties).map(([name, schema]) => [
    name,
    names.includes(name) ? schema : Type.Optional(schema),
  ])
  return Type.Object(
    Object.fromEntries(optional) as {
      [K in keyof P]: K extends R ? P[K] : Type.TOptional<P[K]>
    },
    { additionalProperties: false },
  )
}

export function readJson(path: string): unknown {
  return JSON.parse(readFileSync(join(root, path), 'utf8'))
}
