/** A cgroup with a limit on memory, of v1 or v2: whichever hierarchy has the controller here. */
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Teardown, until } from './guestd.ts'

const V1 = '/sys/fs/cgroup/memory'
const V2 = '/sys/fs/cgroup'

/** Returns the program and arguments that become another program inside it. Removed with the test. */
export function limitMemory(t: Teardown, bytes: number): readonly string[] {
  const isV1 = existsSync(join(V1, 'cgroup.procs'))
  const path = join(isV1 ? V1 : V2, `guestd-test-${process.pid}`)
  if (!isV1) writeFileSync(join(V2, 'cgroup.subtree_control'), '+memory')
  mkdirSync(path)
  t.teardown(() => until(() => isRemoved(path)))
  writeFileSync(join(path, isV1 ? 'memory.limit_in_bytes' : 'memory.max'), String(bytes))
  return ['sh', '-c', `echo $$ > ${join(path, 'cgroup.procs')} && exec "$@"`, 'sh']
}

/** It is busy until its last process is reaped. */
function isRemoved(path: string): boolean {
  try {
    rmdirSync(path)
    return true
  } catch {
    return !existsSync(path)
  }
}
