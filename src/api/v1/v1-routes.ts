/** The native API: all routes below /v1. Each route is a file named after its URL and verb. */

import { createMemoryBudget } from '../memory-budget.ts'
import type { ApiCore, FrontDoor } from '../types.ts'
import { serveInspect } from './commands/inspect.ts'
import { serveKill } from './commands/kill.ts'
import { serveList } from './commands/list.ts'
import { serveOutput } from './commands/output.ts'
import { serveRun } from './commands/run.ts'
import { serveSignal } from './commands/signal.ts'
import { serveStdin } from './commands/stdin.ts'
import { serveEvents } from './events/read.ts'
import { serveClearTemporary } from './session/clear-temporary.ts'
import { serveFlush } from './session/flush.ts'
import { serveGetSession } from './session/get.ts'
import { serveLargest } from './session/largest.ts'
import { serveSetSession } from './session/set.ts'
import { serveStart } from './session/start.ts'
import { serveStop } from './session/stop.ts'

export function v1Routes(core: ApiCore): FrontDoor {
  return scope => {
    serveGetSession(scope, core)
    serveSetSession(scope, core)
    serveLargest(scope, core)
    serveFlush(scope, core)
    serveClearTemporary(scope, core)
    serveStop(scope, core)
    serveStart(scope, core)

    serveEvents(scope, core)

    // Replies of application/json hold at most half as much memory as the output of all commands.
    const replies = { ...core, summaries: createMemoryBudget(core.outputBytes / 2) }
    serveRun(scope, replies)
    serveList(scope, core)
    serveInspect(scope, core)
    serveOutput(scope, replies)
    serveStdin(scope, core)
    serveSignal(scope, core)
    serveKill(scope, core)
  }
}
