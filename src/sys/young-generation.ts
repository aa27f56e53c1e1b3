/** Importing this file sizes V8's young generation: the program imports it before the code that makes it grow. */
import { sizeYoungGeneration } from './memory.ts'

sizeYoungGeneration()
