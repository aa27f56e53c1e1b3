/** Which commands are for rescue, to inspect and clean up: those of root, where commands run as another user. */
import { isRoot, type Machine, type Plan, type PlanSettings } from './plan.ts'

/** Where all commands run as root there is no other command to separate them from. */
export function isRescue(
  { uid }: Pick<Plan, 'uid'>,
  { user }: Pick<PlanSettings, 'user'>,
  { self }: Pick<Machine, 'self'>,
): boolean {
  return uid === 0 && self.uid === 0 && !isRoot(user, self)
}
