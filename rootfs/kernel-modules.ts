/** Which files of a kernel's modules have to be loaded, and in which order: modules.dep(5). */

import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { VmError } from './vm-error.ts'

/**
 * The files, relative to the folder, of these modules and of all that they need, each after what it
 * needs. A module that is built into the kernel has none.
 *
 * @param folder `/lib/modules/VERSION`, with the lists that depmod(8) makes
 * @throws VmError for a name that the kernel does not have
 */
export async function modulesInOrder(folder: string, names: readonly string[]): Promise<string[]> {
  const [dep, builtin] = await Promise.all(
    ['modules.dep', 'modules.builtin'].map(name => readFile(path.join(folder, name), 'utf8')),
  )
  const needs = new Map<string, { file: string; needed: string[] }>()
  for (const line of (dep ?? '').split('\n')) {
    const [file = '', rest = ''] = line.split(':')
    const needed = rest.split(' ').filter(one => one !== '')
    if (file !== '') needs.set(moduleName(file), { file, needed })
  }
  const builtins = new Set((builtin ?? '').split('\n').map(moduleName))
  const order = new Set<string>()
  for (const name of names) {
    const found = needs.get(moduleName(name))
    if (found === undefined) {
      if (builtins.has(moduleName(name))) continue
      throw new VmError(`the kernel has no module ${name}`)
    }
    // "If a.ko needs b.ko and c.ko", modprobe loads from the right to the left.
    for (const file of found.needed.toReversed()) order.add(file)
    order.add(found.file)
  }
  return [...order]
}

/** As the kernel has it: without folder and `.ko`, and `-` is `_`. */
function moduleName(file: string): string {
  return path
    .basename(file)
    .replace(/\.ko(\..*)?$/, '')
    .replaceAll('-', '_')
}
