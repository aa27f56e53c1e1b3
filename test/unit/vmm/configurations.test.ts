import t from 'tap'
import { cloudHypervisor, faults, firecracker, type Vmm } from './machines.ts'

/** A configuration with one thing changed: `path` in dots, `undefined` to leave it out. */
type Change = readonly [path: string, value: unknown]

const changed = ({ config }: Vmm, [path, value]: Change): unknown => {
  const copy = structuredClone(config)
  const names = path.split('.')
  const last = names.pop() ?? ''
  const place = names.reduce<unknown>((at, name) => Reflect.get(Object(at), name), copy)
  if (value === undefined) Reflect.deleteProperty(Object(place), last)
  else Reflect.set(Object(place), last, value)
  return copy
}

const wrong: readonly [Vmm, readonly Change[]][] = [
  [
    firecracker,
    [
      ['drive', []],
      ['boot-source', undefined],
      ['boot-source.kernel_image_path', undefined],
      ['boot-source.initrd', 'initramfs.gz'],
      ['machine-config.vcpu_count', 3],
      ['machine-config.vcpu_count', 34],
      ['machine-config.mem_size_mib', '1024'],
      ['machine-config.memory', 1024],
      ['drives.0.is_root_device', undefined],
      ['drives.0.is_read_only', undefined],
      ['drives.0.path_on_host', undefined],
      ['drives.1.cache_type', 'writeback'],
      ['drives.1.io_engine', 'Threads'],
      ['drives.1.label', 'workspace'],
      ['vsock.guest_cid', 2],
      ['vsock.guest_cid', undefined],
      ['vsock.port', 1023],
      ['vsock.uds_path', '/'.padEnd(108, 'x')],
      ['entropy.src', '/dev/urandom'],
      ['network-interfaces', [{ iface_id: 'eth0' }]],
      ['network-interfaces', [{ iface_id: 'eth0', host_dev_name: 'tap0', guest_mac: '06:00' }]],
    ],
  ],
  [
    cloudHypervisor,
    [
      ['kernel', 'vmlinux'],
      ['payload', undefined],
      ['payload.initrd', 'initramfs.gz'],
      ['cpus.max_vcpus', undefined],
      ['cpus.boot_vcpus', 0],
      ['memory.size', undefined],
      ['memory.size', '1G'],
      ['disks.0.read_only', true],
      ['disks.0.path', undefined],
      ['disks.1.image_type', 'raw'],
      ['disks.1.serial', 'a-serial-of-twenty-one'],
      ['vsock.cid', 2],
      ['vsock.socket', undefined],
      ['vsock.uds_path', 'v.sock'],
      ['serial.mode', 'file'],
      ['serial.file', undefined],
      ['console.mode', 'None'],
      ['rng', {}],
      ['net', [{ tap: 'a-name-that-is-too-long' }]],
    ],
  ],
]

for (const vmm of [firecracker, cloudHypervisor]) {
  t.test(`the configuration for ${vmm.name} is what its API definition asks for`, async t => {
    t.same(faults(vmm.schema, vmm.config), [])
  })
}

for (const [vmm, changes] of wrong) {
  t.test(`what ${vmm.name} would refuse is seen`, async t => {
    for (const change of changes) {
      const found = faults(vmm.schema, changed(vmm, change))
      t.not(found.length, 0, `${change[0]}: ${JSON.stringify(change[1])}`)
    }
  })
}
