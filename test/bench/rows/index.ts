/** All rows, in the order of the table. */
import type { Row } from '../bench.ts'
import { boot } from './boot.ts'
import { clients } from './clients.ts'
import { flush } from './flush.ts'
import { folder } from './folder.ts'
import { guest } from './guest.ts'
import { image } from './image.ts'
import { kill } from './kill.ts'
import { memory } from './memory.ts'
import { readers } from './readers.ts'
import { resume } from './resume.ts'
import { run } from './run.ts'
import { start } from './start.ts'
import { stream } from './stream.ts'
import { usage } from './usage.ts'
import { writers } from './writers.ts'

export const rows: readonly Row[] = [
  run,
  clients,
  stream,
  readers,
  memory,
  start,
  kill,
  usage,
  folder,
  flush,
  resume,
  writers,
  guest,
  boot,
  image,
]
