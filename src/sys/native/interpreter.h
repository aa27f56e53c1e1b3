/* What a program that could not be executed needs, and is not there. */
#ifndef GUESTD_INTERPRETER_H
#define GUESTD_INTERPRETER_H

/*
 * The interpreter of the first of these programs that exists, where that interpreter itself is missing: execve(2)
 * reports ENOENT for both. Of a script the name after "#!", with a carriage return where the line ends with one; of an
 * ELF file its dynamic linker. At most 255 bytes, to be freed; NULL where none is found to be missing.
 *
 * Reads files that the command's user may have made, so it may take as long as a file system likes.
 *
 * @param cwd where relative paths begin
 * @param paths ends with NULL
 */
char *gd_missing_interpreter(const char *cwd, char *const *paths);

#endif
