/** node count-rows.ts DATABASE: what SQLite finds in it, as JSON; a process, so that it can be ended. */
import { DatabaseSync } from 'node:sqlite'

const database = new DatabaseSync(process.argv[2] ?? '')
const integrity = database.prepare('PRAGMA integrity_check').get()?.integrity_check
const made = database.prepare("SELECT 1 FROM sqlite_master WHERE name = 'records'").get()
const { rows, last } =
  (made && database.prepare('SELECT count(*) rows, max(n) last FROM records').get()) ?? {}
console.log(JSON.stringify({ integrity, rows: rows ?? 0, last: last ?? 0 }))
database.close()
