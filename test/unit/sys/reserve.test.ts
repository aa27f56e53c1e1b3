import t from 'tap'
import { leave, withoutRescue } from '../../../src/sys/reserve.ts'

t.test('commands get what others do not use and is not reserved', async t => {
  t.equal(leave(4_000, 150, 256), 3_594)
  t.equal(leave(Number.POSITIVE_INFINITY, 150, 256), Number.POSITIVE_INFINITY)
})

t.test('of a small machine commands still get two thirds', async t => {
  t.equal(leave(300, 150, 256), 200)
  t.equal(leave(256 * 1024 ** 2, 0, 160 * 1024 ** 2), Math.floor((256 * 1024 ** 2 * 2) / 3))
})

t.test('root’s commands have as much as an eighth of the reserve for themselves', async t => {
  t.equal(withoutRescue(700, 300), 663)
  t.equal(withoutRescue(16, 256), 14)
  t.equal(withoutRescue(700, 0), 700)
})
