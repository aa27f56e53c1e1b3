/** The log lines and events of a mount. */

import type { Emit } from '../events/event-log.ts'
import type { Log } from '../log.ts'
import type { Volume } from './types.ts'

/** Reports that the volume is mounted, and what was done to it before. */
export function emitMounted(volume: Volume, log: Log, emit: Emit): void {
  const { device, path, takenOver, fresh, history } = volume
  const { generation, recovery, expired, reset, keptBecause, formattedBytes } = history
  const facts = { path, device: device.path, takenOver, fresh, generation }
  if (formattedBytes !== null) {
    const formatted = { device: device.path, bytes: formattedBytes }
    log.warn(formatted, 'the workspace was blank, and has been formatted')
    emit({ type: 'workspace_formatted', ...formatted })
  }
  log.info(facts, 'the workspace is mounted')
  emit({ type: 'workspace_mounted', device: device.path, generation })
  if (reset !== null) {
    log.warn({ reset }, 'the workspace was started empty')
    if (!takenOver) emit({ type: 'workspace_reset', reset })
  } else if (expired) log.warn({ expired, keptBecause }, 'the workspace has expired, and is kept')
  if (recovery.length > 0) {
    log.warn({ recovery }, 'the workspace had not been left clean')
    emit({ type: 'workspace_recovered', recovery: [...recovery] })
  }
}
