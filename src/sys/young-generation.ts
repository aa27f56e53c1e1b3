/** Importing this file sizes V8's young generation. The program imports it before the code that makes it grow. */
import { sizeYoungGeneration } from './memory.ts'

sizeYoungGeneration()
