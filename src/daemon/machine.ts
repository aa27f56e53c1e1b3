/** The facts of this machine that commands need, read once at the start. */
import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Machine } from '../commands/plan.ts'
import { openCgroupTree } from '../sys/cgroup.ts'
import { nofileLimit } from '../sys/file-limit.ts'
import type { Reserve } from '../sys/reserve.ts'
import { ownUser } from '../sys/users.ts'

/** @param runDir gives the cgroup its name: two guestds on one machine have a cgroup each */
export function lookAtMachine(runDir: string, reserve: Reserve): Machine {
  return {
    self: ownUser(),
    cgroups: openCgroupTree(`guestd-${hash('sha256', runDir).slice(0, 12)}`, reserve),
    nofileHard: nofileLimit().hard,
    oomScoreAdj: Number(readFileSync('/proc/self/oom_score_adj', 'utf8')),
  }
}
