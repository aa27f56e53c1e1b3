const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const

/** A size for people, with at most one decimal: "1.5 GiB". */
export function sizeText(bytes: number): string {
  let size = bytes
  let unit = 0
  while (size >= 1024 && unit < UNITS.length - 1) {
    size /= 1024
    unit += 1
  }
  return `${Number(size.toFixed(1))} ${UNITS[unit]}`
}
