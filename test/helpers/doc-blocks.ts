/** The fenced code blocks of the documents. */

import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '../..')

export interface DocBlock {
  /** Relative to the repository. */
  readonly file: string
  /** The word after the fence; '' for none. */
  readonly language: string
  /** Without the indentation of the fence. */
  readonly text: string
  /** `docs/api.md: first line`. */
  readonly name: string
}

export const documentFiles: readonly string[] = [
  'README.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'CHANGELOG.md',
  ...globSync('docs/**/*.md', { cwd: root }).sort(),
]

export function docBlocks(): DocBlock[] {
  return documentFiles.flatMap(file =>
    [...readFileSync(join(root, file), 'utf8').matchAll(FENCED)].map(found => {
      const [, indent = '', language = '', body = ''] = found
      const text = body.replaceAll(new RegExp(`^${indent}`, 'gm'), '')
      return { file, language, text, name: `${file}: ${text.split('\n', 1)[0]}` }
    }),
  )
}

/** A fenced block with its indentation, its language and its text. */
export const FENCED = /^( *)```([^\n]*)\n([\s\S]*?)^ *```$/gm
