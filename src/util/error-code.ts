/** The `code` of a thrown error, such as `ENOENT`; an empty string for anything without one. */
export function errorCode(thrown: unknown): string {
  return thrown instanceof Error && 'code' in thrown ? String(thrown.code) : ''
}
