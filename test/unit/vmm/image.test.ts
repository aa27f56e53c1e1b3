import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { IMAGE_FILES } from '../../../rootfs/assemble.ts'
import { IMAGE_PORT } from '../../../src/client/connect-error.ts'
import { cloudHypervisor, faults, firecracker, type Vmm } from './machines.ts'
import { root } from './parts.ts'

/** The file that docs/images.md makes for the workspace. */
const VOLUME_FILE = 'workspace.ext4'
/** Of it the root's tmpfs may take a half, and guestd's reserve 160 MiB. */
const LEAST_MEMORY_BYTES = 512 * 1024 * 1024

const text = (path: string) => readFileSync(join(root, path), 'utf8')
const documentation = text('docs/images.md')
const vmms = [firecracker, cloudHypervisor]

for (const vmm of vmms) {
  t.test(`${vmm.name} gets the files that an image has`, async t => {
    t.equal(vmm.kernel, IMAGE_FILES.elfKernel)
    t.equal(vmm.initramfs, IMAGE_FILES.initramfs)
    const [image, volume, ...others] = vmm.disks
    t.match(image, { file: IMAGE_FILES.root, readOnly: true })
    t.match(volume, { file: VOLUME_FILE, readOnly: false })
    t.same(others, [])
    t.ok(vmm.memoryBytes >= LEAST_MEMORY_BYTES)
  })

  t.test(`${vmm.name} makes durable what the guest flushes to the workspace`, async t => {
    for (const disk of vmm.disks) if (!disk.readOnly) t.ok(disk.flushes, disk.file)
  })

  t.test(`the command line for ${vmm.name} is what the image reads`, async t => {
    const words = new Map(vmm.bootWords.map(word => splitWord(word)))
    t.equal(words.size, vmm.bootWords.length, 'no word comes twice')
    // The words that the initramfs has cases for.
    const init = text('rootfs/initramfs/init')
    const known = [...init.matchAll(/^ {4}([a-z.]+)=\*\)/gm)].map(([, name]) => name)
    t.same(known, ['root', 'guestd.overlay'])
    for (const name of words.keys()) {
      if (name.startsWith('guestd.')) t.ok(known.includes(name), name)
    }
    const index = vmm.disks.findIndex(({ file }) => file === IMAGE_FILES.root)
    const device = `/dev/vd${String.fromCharCode('a'.charCodeAt(0) + index)}`
    t.equal(words.get('root'), device)
    t.match(init, `\nroot=${device}\n`, 'what the initramfs takes by itself')
    t.equal(words.get('console'), 'ttyS0')
    t.equal(words.get('panic'), '-1', 'a guest that cannot go on ends at once')
    t.notOk(words.has('pci'), 'devices on a PCI bus are found')
    t.notOk(words.has('init') || words.has('rdinit'))
  })

  t.test(`the walk-through for ${vmm.name} uses its socket and guestd's port`, async t => {
    const port = /^ListenStream=vsock::(\d+)$/m.exec(text('systemd/guestd.socket'))?.[1]
    t.equal(port, `${IMAGE_PORT}`)
    t.ok(vmm.socket)
    t.match(documentation, `firecracker:${vmm.socket}:${port}`)
  })
}

t.test('a reset of the guest goes the way that ends Firecracker', async t => {
  t.ok(firecracker.bootWords.includes('reboot=k'))
})

t.test('what the walk-through adds to a configuration is what its VMM asks for', async t => {
  const blocks = [...documentation.matchAll(/^```json\n([\s\S]*?)^```$/gm)]
  const added = new Set<string>()
  for (const [, block = ''] of blocks) {
    const part: object = JSON.parse(block)
    const vmm = ownerOf(part)
    t.same(faults(vmm.schema, { ...vmm.config, ...part }), [], block)
    added.add(vmm.name)
  }
  t.equal(added.size, vmms.length, 'there is one for each')
})

function splitWord(word: string): [name: string, value: string] {
  const [name = '', ...value] = word.split('=')
  return [name, value.join('=')]
}

function ownerOf(part: object): Vmm {
  return 'network-interfaces' in part ? firecracker : cloudHypervisor
}
