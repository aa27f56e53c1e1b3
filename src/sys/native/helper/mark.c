/*
 * slots PATH OFFSET: 8 KiB from there to stdout: both slots of the mark.
 * put PATH OFFSET: 4 KiB from stdin to there, durable when it ends. Past the page cache (O_DIRECT), as
 * the slot shall be written as a whole; what has no O_DIRECT is written and synced.
 */
#define _GNU_SOURCE
#include "helper.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { SLOT_BYTES = 4096, SLOTS = 2 };

static _Alignas(SLOT_BYTES) char slots[SLOTS * SLOT_BYTES];

static int open_direct(const char *path, int flags) {
  int fd = open(path, flags | O_CLOEXEC | O_DIRECT);
  return fd < 0 && errno == EINVAL ? open(path, flags | O_CLOEXEC) : fd;
}

int cmd_slots(char **args) {
  long offset = number(args[1]);
  int fd = open_direct(args[0], O_RDONLY);
  if (fd < 0) return fail("open", errno);
  ssize_t got = pread(fd, slots, sizeof slots, offset);
  if (got < 0) return fail("read", errno);
  if (got != sizeof slots) return fail("read", ENODATA);
  return write(STDOUT_FILENO, slots, sizeof slots) == sizeof slots ? 0 : fail("write", EIO);
}

int cmd_put(char **args) {
  long offset = number(args[1]);
  for (size_t held = 0; held < SLOT_BYTES;) {
    ssize_t got = read(STDIN_FILENO, slots + held, SLOT_BYTES - held);
    if (got < 0) return fail("read", errno);
    if (got == 0) return fail("read", ENODATA);
    held += (size_t)got;
  }
  int fd = open_direct(args[0], O_RDWR);
  if (fd < 0) return fail("open", errno);
  ssize_t put = pwrite(fd, slots, SLOT_BYTES, offset);
  if (put < 0) return fail("write", errno);
  if (put != SLOT_BYTES) return fail("write", EIO);
  return fsync(fd) != 0 ? fail("fsync", errno) : 0;
}
