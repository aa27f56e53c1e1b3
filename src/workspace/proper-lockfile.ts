/** A package that only a folder needs: a bundle of its own, loaded when there is one. */
export { lock } from 'proper-lockfile'
