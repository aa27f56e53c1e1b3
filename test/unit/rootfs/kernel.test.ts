import { gzipSync, zstdCompressSync } from 'node:zlib'
import { execa } from 'execa'
import t from 'tap'
import { extractVmlinux } from '../../../rootfs/kernel.ts'

const ELF = Buffer.concat([Buffer.from('7f454c46', 'hex'), Buffer.alloc(100_000, 'kernel')])

/** A bzImage with `payload` in it, as `Documentation/arch/x86/boot.rst` lays it out. */
function bzImage(payload: Buffer, setupSectors = 7): Buffer {
  const setup = Buffer.alloc((setupSectors + 1) * 512)
  setup[0x1f1] = setupSectors
  setup.write('HdrS', 0x202, 'latin1')
  const gap = Buffer.alloc(333)
  setup.writeUInt32LE(gap.length, 0x248)
  setup.writeUInt32LE(payload.length + 4, 0x24c)
  return Buffer.concat([setup, gap, payload, Buffer.alloc(4), Buffer.alloc(50, 'more')])
}

async function packWith(program: string, ...args: string[]): Promise<Buffer> {
  const { stdout } = await execa(program, args, { input: ELF, encoding: 'buffer' })
  return Buffer.from(stdout)
}

t.test('the ELF kernel comes out of a bzImage, whatever packs it', async t => {
  const packed = {
    gzip: gzipSync(ELF),
    zstd: zstdCompressSync(ELF),
    xz: await packWith('xz', '--stdout'),
    // The kernel's own build uses the legacy format.
    lz4: await packWith('lz4', '-l', '-c'),
    nothing: ELF,
  }
  for (const [name, payload] of Object.entries(packed)) {
    t.ok((await extractVmlinux(bzImage(payload))).equals(ELF), name)
  }
})

t.test('an ELF kernel is taken as it is', async t => {
  t.equal(await extractVmlinux(ELF), ELF)
})

t.test('a file that is not a kernel, or is compressed in another way, is refused', async t => {
  await t.rejects(extractVmlinux(Buffer.alloc(4096)), { message: /neither a bzImage nor an ELF/ })
  await t.rejects(extractVmlinux(Buffer.from('short')), { message: /neither a bzImage nor an ELF/ })
  await t.rejects(extractVmlinux(bzImage(Buffer.from('BZh91AY&SY'))), {
    message: /packed in an unknown way: 425a68393141/,
  })
  await t.rejects(extractVmlinux(bzImage(gzipSync(Buffer.from('no kernel')))), {
    message: /not an ELF file/,
  })
})
