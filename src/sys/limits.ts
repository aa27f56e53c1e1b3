/** RLIMIT_NOFILE of this process (getrlimit(2)). */
import { native } from './native.ts'

export function nofileLimit(): { readonly soft: number; readonly hard: number } {
  const [soft, hard] = native.nofileLimit()
  return { soft, hard }
}
