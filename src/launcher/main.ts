#!/usr/bin/env -S node --disable-sigusr1
/** The program guestd: loads the daemon, which lies beside it. */
import { fileURLToPath } from 'node:url'
import { loadDaemon } from './load.ts'

await loadDaemon(fileURLToPath(new URL('guestd-daemon.cjs', import.meta.url)))
