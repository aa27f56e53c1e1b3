/**
 * One power cut again, of the recording that a failed `make test` or `make crash` left:
 *
 * node test/crash/point.ts --seed SEED --point NUMBER [--of POINTS] [--resumed] [--folder RECORDING]
 */
import { parseArgs } from 'node:util'
import { DEFAULT_POINTS, FOLDER } from './settings.ts'
import { openTrial } from './trial.ts'

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '' },
    point: { type: 'string', default: '' },
    of: { type: 'string', default: String(DEFAULT_POINTS) },
    resumed: { type: 'boolean', default: false },
    folder: { type: 'string', default: FOLDER },
  },
})
const [seed, number, of] = [values.seed, values.point, values.of].map(Number)
if (seed === undefined || number === undefined || of === undefined || !(number < of))
  throw new Error('--seed SEED --point NUMBER [--of POINTS] [--resumed]')
const trial = openTrial(values.folder, values.resumed ? 'resumed' : 'workspace')
const point = trial.choose({ seed, number, of })
console.log(point)
const lost = (await trial.run([point])).get(number)?.losses ?? []
trial.close()
console.log(lost.length === 0 ? 'nothing is lost' : lost.join('\n'))
process.exitCode = lost.length === 0 ? 0 : 1
