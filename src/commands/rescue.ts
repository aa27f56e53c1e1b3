/** Which commands are there to look and to clean up: those of root, where commands run as another user. */
import { isRoot, type Machine, type Plan, type PlanSettings } from './plan.ts'

/** Where all commands are root's there is no other to be kept apart from. */
export function isRescue(
  { uid }: Pick<Plan, 'uid'>,
  { user }: Pick<PlanSettings, 'user'>,
  { self }: Pick<Machine, 'self'>,
): boolean {
  return uid === 0 && self.uid === 0 && !isRoot(user, self)
}
