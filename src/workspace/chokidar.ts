/** A package that only a folder with a cap needs: a bundle of its own, loaded when there is one. */
export { type FSWatcher, watch } from 'chokidar'
