/*
 * lock FILE: takes open file description locks (fcntl(2)) on the bytes that QEMU locks, so that guestd and QEMU never
 * use an image at the same time. Prints "locked", and releases them when its standard input ends. EAGAIN: another
 * process has them.
 * is-locked FILE: prints "locked" when another process has them, else "free". Takes none.
 */
#define _GNU_SOURCE
#include "helper.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* RAW_LOCK_PERM_BASE and RAW_LOCK_SHARED_BASE of QEMU's block/file-posix.c: 100 and 200, up to 64 each. */
enum { FIRST_BYTE = 100, BYTES = 164 };

static const struct flock all = {
  .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = FIRST_BYTE, .l_len = BYTES};

int lock_file(int fd) {
  struct flock range = all;
  return fcntl(fd, F_OFD_SETLK, &range);
}

int cmd_is_locked(char **args) {
  struct flock range = all;
  int fd = open(args[0], O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fail("open", errno);
  if (fcntl(fd, F_OFD_GETLK, &range) != 0) return fail("fcntl", errno);
  const char *answer = range.l_type == F_UNLCK ? "free\n" : "locked\n";
  return write_all(answer, strlen(answer));
}

int cmd_lock(char **args) {
  char end = 0;
  int fd = open(args[0], O_RDWR | O_CLOEXEC);
  if (fd < 0) return fail("open", errno);
  if (lock_file(fd) != 0) return fail("fcntl", errno);
  if (write_all("locked\n", 7) != 0) return 1;
  while (read(STDIN_FILENO, &end, 1) > 0) continue;
  return 0;
}
