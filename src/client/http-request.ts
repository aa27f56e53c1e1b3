/** Paths of the API. */

export function commandPath(id: string, rest = ''): string {
  return `/v1/commands/${encodeURIComponent(id)}${rest}`
}
