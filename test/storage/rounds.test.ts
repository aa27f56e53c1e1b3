/** Fifty stops and resumes of one session's workspace: each finds every byte as it was left. */
import { execFileSync } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { guestctl } from '../helpers/guestctl.ts'
import { type Guestd, run as runCommand, startGuestd } from '../helpers/guestd.ts'
import { matchExactly } from '../helpers/match-exactly.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { infoOf } from '../helpers/session.ts'
import { fsck, makeMountPoint } from '../helpers/volume.ts'

const MODULES = join(import.meta.dirname, '../../node_modules')
const FIXTURES = join(import.meta.dirname, '../vm/fixtures')
const ROUNDS = 50
/** Above what a busy machine takes for all of the rounds. */
const LIMIT_MS = 15 * 60_000
/** A line each of some hundreds of files. */
const MANIFEST_BYTES = 32 * 1024 * 1024
/** A checker that meets something broken may go on for ever. */
const FSCK_LIMIT_MS = 60_000

t.setTimeout(LIMIT_MS)

/** What only root can leave behind, beside what fill.sh makes; and less of what is hashed 100 times. */
const OWNED = `
cd kinds
truncate -s 3M large
fallocate --collapse-range --offset 4096 --length 9994240 sparse
truncate -s 1M sparse
mkdir owned && chown 1234:5678 owned
install -o 65534 -g 1000 -m 640 /dev/null owned/file
mknod device c 1 3
python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("socket")'`

/** A little of each kind is different after each round. */
const CHANGE = `
set -eu
echo "$ROUND" >>rounds
git -C repo commit -q --allow-empty -m "round $ROUND"
mkdir "kinds/empty-$ROUND"
chmod "$((400 + ROUND % 8))" kinds/target
ln kinds/target "kinds/hard-round-$ROUND"
ln -s "$ROUND" "kinds/link-$ROUND"
mv kinds/old kinds/moving && mv kinds/moving kinds/old
rm -f "kinds/link-$((ROUND - 3))"
python3 -c 'import os; os.setxattr("kinds/xattrs", "user.round", os.environ["ROUND"].encode())'
"$NODE" --no-warnings -e '
const { DatabaseSync } = require("node:sqlite")
const db = new DatabaseSync("base.db")
db.prepare("INSERT INTO rows (text) VALUES (?)").run("round " + process.env.ROUND)
// Never closed: the WAL stays as a file of its own.
process.kill(process.pid, "SIGKILL")' 2>/dev/null &
wait $! || true
test -s base.db-wal`

const COUNT = `
const { DatabaseSync } = require("node:sqlite")
const db = new DatabaseSync("base.db")
const { n } = db.prepare("SELECT count(*) AS n FROM rows").get()
console.log(n, db.prepare("PRAGMA integrity_check").get().integrity_check)`

const folder = makeScratch(t)
const workspace = join(folder, 'volume.img')
const at = makeMountPoint(t)

async function work(guestd: Guestd, command: string, env: Readonly<Record<string, string>>) {
  const all = { NODE: process.execPath, MODULES, PACKAGES: 'fastify pino', ...env }
  const { exit, stderr } = await runCommand(guestd, { command, env: all, timeoutMs: LIMIT_MS })
  if (exit.exitCode !== 0) throw new Error(`${command}: ${stderr}`)
}

function manifest(): string[] {
  const script = join(FIXTURES, 'manifest.py')
  const options = { cwd: at, encoding: 'utf8', maxBuffer: MANIFEST_BYTES } as const
  return execFileSync('python3', [script], options).trimEnd().split('\n')
}

t.test(
  'fifty stops and resumes keep every byte, mode, time, owner, link and attribute',
  async t => {
    const made = await guestctl(['volume', 'create', workspace, '--size', '256MiB'])
    t.equal(made.code, 0, made.err)
    const guestd = await startGuestd(t, { config: { workspace, workspaceMount: at } })
    await work(guestd, `${readFileSync(join(FIXTURES, 'fill.sh'), 'utf8')}\n${OWNED}`, {})
    let left = manifest()
    t.ok(left.length > 500, `${left.length} files`)

    for (let round = 1; round <= ROUNDS; round++) {
      // By turns as the host asks for it, and as a service manager does.
      if (round % 2 === 0) {
        const stop = await guestctl(['stop'], { connect: guestd.connect })
        if (stop.code !== 0) t.fail(`round ${round}: ${stop.out}`)
      }
      if ((await guestd.stop()) !== 0) t.fail(`round ${round}: ${guestd.log()}`)
      // As a new machine has it: a stop counts until the next boot.
      rmSync(join(guestd.dir, 'run'), { recursive: true })
      await guestd.start()
      const info = await infoOf(guestd)
      const lastStop = { clean: true, outcome: 'unmount', generation: round, errors: [] }
      matchExactly(t, info, { generation: round + 1, recovered: false, recovery: [], lastStop })
      const found = manifest()
      const [before, after] = [new Set(left), new Set(found)]
      const missing = left.filter(line => !after.has(line)).slice(0, 10)
      const added = found.filter(line => !before.has(line)).slice(0, 10)
      t.same({ missing, added }, { missing: [], added: [] }, `round ${round}`)
      await work(guestd, CHANGE, { ROUND: String(round) })
      left = manifest()
    }

    const limited = { cwd: at, encoding: 'utf8', timeout: FSCK_LIMIT_MS } as const
    execFileSync('git', ['-C', 'repo', 'fsck', '--full', '--strict', '--no-progress'], limited)
    const commits = execFileSync('git', ['-C', 'repo', 'rev-list', '--count', 'HEAD'], limited)
    t.equal(Number(commits), 20 + ROUNDS)
    const rows = execFileSync(process.execPath, ['--no-warnings', '-e', COUNT], limited)
    t.equal(rows, `${1_000 + ROUNDS} ok\n`)
    const recorded = readFileSync(join(at, 'rounds'), 'utf8').trimEnd().split('\n')
    t.same(
      recorded.map(Number),
      Array.from({ length: ROUNDS }, (_, index) => index + 1),
    )
    t.equal(await guestd.stop(), 0)
    t.equal(fsck(workspace).status, 0)
  },
)
