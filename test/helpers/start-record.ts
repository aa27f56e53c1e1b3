import type { StartRecord } from '../../src/commands/journal-lines.ts'

/** The record of a start in the journal. */
export const startRecord: StartRecord = {
  id: 'a',
  digest: null,
  startedAt: '2026-01-01T00:00:00.000Z',
  cwd: '/',
  user: 'agent',
  commandLine: 'true',
  detach: false,
  onDisconnect: 'keep',
  cgroupPath: null,
}
