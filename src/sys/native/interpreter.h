/* Finds the missing interpreter of a program that could not be executed. */
#ifndef GUESTD_INTERPRETER_H
#define GUESTD_INTERPRETER_H

/*
 * Returns the interpreter of the first program that exists but whose interpreter does not: execve(2) reports ENOENT for
 * a missing program and for a missing interpreter. For a script it is the name after "#!", including a carriage return
 * at the end of the line; for an ELF file the dynamic linker. At most 255 bytes; the caller frees it. NULL when no
 * interpreter is missing, or when memory is short.
 *
 * Reads files of the command's user, so a slow file system can block it without limit.
 *
 * @param cwd start of relative paths
 * @param paths ends with NULL
 */
char *gd_missing_interpreter(const char *cwd, char *const *paths);

#endif
