/* See interpreter.h for the contract. */
#define _GNU_SOURCE
#include "interpreter.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The kernel reads this much of a script (BINPRM_BUF_SIZE). */
#define HEAD_BYTES 256

/* Longest name to report, without its NUL. */
#define NAME_BYTES 255

/* An interpreter can be a script itself. The kernel follows 5 (exec_binprm). */
#define MAX_DEPTH 5

/* Program headers to read of an ELF file. */
#define MAX_HEADERS 64

/* Opens regular files only: opening a device or a FIFO can have side effects, or block. */
static int open_regular(int folder, const char *path) {
  char link[32];
  struct stat facts;
  int file = -1;
  int place = openat(folder, path, O_PATH | O_CLOEXEC);
  if (place < 0) return -1;
  if (fstat(place, &facts) == 0 && S_ISREG(facts.st_mode)) {
    snprintf(link, sizeof link, "/proc/self/fd/%d", place);
    file = open(link, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  }
  close(place);
  return file;
}

static ssize_t read_at(int file, void *into, size_t size, off_t from) {
  ssize_t length;
  do length = pread(file, into, size, from);
  while (length < 0 && errno == EINTR);
  return length;
}

static bool of_script(const char *head, size_t length, char *name) {
  size_t from = 2;
  if (length < 2 || head[0] != '#' || head[1] != '!') return false;
  while (from < length && (head[from] == ' ' || head[from] == '\t')) from++;
  size_t to = from;
  while (to < length && head[to] != '\0' && strchr(" \t\n", head[to]) == NULL) to++;
  if (to == from || to - from > NAME_BYTES) return false;
  memcpy(name, head + from, to - from);
  name[to - from] = '\0';
  return true;
}

/* Finds offset and size of the name in a 32-bit or 64-bit file; false without one. */
static bool find_segment(int file, const unsigned char *head, uint64_t *offset, uint64_t *size) {
  bool is_64 = head[EI_CLASS] == ELFCLASS64;
  Elf64_Ehdr large;
  Elf32_Ehdr small;
  memcpy(&large, head, sizeof large);
  memcpy(&small, head, sizeof small);
  uint64_t first = is_64 ? large.e_phoff : small.e_phoff;
  uint64_t count = is_64 ? large.e_phnum : small.e_phnum;
  uint64_t step = is_64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
  if (first > INT32_MAX) return false;
  for (uint64_t i = 0; i < count && i < MAX_HEADERS; i++) {
    Elf64_Phdr wide = {0};
    Elf32_Phdr narrow = {0};
    void *into = is_64 ? (void *)&wide : (void *)&narrow;
    if (read_at(file, into, step, (off_t)(first + i * step)) != (ssize_t)step) return false;
    if ((is_64 ? wide.p_type : narrow.p_type) != PT_INTERP) continue;
    *offset = is_64 ? wide.p_offset : narrow.p_offset;
    *size = is_64 ? wide.p_filesz : narrow.p_filesz;
    return true;
  }
  return false;
}

static bool of_elf(int file, const char *head, size_t length, char *name) {
  uint64_t offset = 0, size = 0;
  if (length < sizeof(Elf64_Ehdr) || memcmp(head, ELFMAG, SELFMAG) != 0) return false;
  if (!find_segment(file, (const unsigned char *)head, &offset, &size)) return false;
  if (offset > INT32_MAX || size < 2 || size > NAME_BYTES) return false;
  ssize_t taken = read_at(file, name, size, (off_t)offset);
  if (taken < 2) return false;
  name[taken] = '\0';
  return true;
}

/* Whether the file names an interpreter; `name` has NAME_BYTES + 1 bytes. */
static bool read_name(int file, char *name) {
  char head[HEAD_BYTES];
  ssize_t length = read_at(file, head, sizeof head, 0);
  if (length <= 0) return false;
  return of_script(head, (size_t)length, name) || of_elf(file, head, (size_t)length, name);
}

/* Follows the interpreters that exist. True when one is missing; `name` is its name. */
static bool follow(int folder, int file, char *name) {
  for (int depth = 0; file >= 0 && depth < MAX_DEPTH; depth++) {
    struct stat facts;
    bool is_named = read_name(file, name);
    close(file);
    if (!is_named) return false;
    if (fstatat(folder, name, &facts, 0) != 0) return errno == ENOENT || errno == ENOTDIR;
    file = open_regular(folder, name);
  }
  if (file >= 0) close(file);
  return false;
}

char *gd_missing_interpreter(const char *cwd, char *const *paths) {
  char name[NAME_BYTES + 1];
  char *found = NULL;
  int folder = open(cwd, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return NULL;
  for (char *const *path = paths; found == NULL && *path != NULL; path++)
    if (follow(folder, open_regular(folder, *path), name)) found = strdup(name);
  close(folder);
  return found;
}
