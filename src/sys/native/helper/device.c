/*
 * read-head PATH: writes the first 68 KiB of a device or file to stdout. It reads past the page cache where the file
 * system allows it (O_DIRECT, open(2)).
 * read-tail PATH: the same for the last 1 MiB, from a multiple of 4 KiB on, and the bytes after the last such multiple.
 * open-exclusive PATH: like read-head, after an exclusive open and an fsync. The kernel refuses the open with EBUSY while
 * anything holds the device (open(2), O_EXCL without O_CREAT). The fsync reports failed writes.
 */
#define _GNU_SOURCE
#include "helper.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* HEAD_BYTES includes the signature of btrfs at 64 KiB. ALIGNMENT satisfies O_DIRECT on any device. */
enum { HEAD_BYTES = 68 * 1024, TAIL_BYTES = 1024 * 1024, ALIGNMENT = 4096 };

static int dump_head(int fd) {
  static _Alignas(ALIGNMENT) char head[HEAD_BYTES];
  size_t held = 0;
  while (held < HEAD_BYTES) {
    ssize_t got = pread(fd, head + held, HEAD_BYTES - held, (off_t)held);
    if (got < 0) return fail("read", errno);
    if (got == 0) break;
    held += (size_t)got;
    /* The file ends within this block, and the next read would not be aligned. */
    if (held % ALIGNMENT != 0) break;
  }
  return write_all(head, held);
}

int cmd_read_head(char **args) {
  int fd = open_direct(args[0], O_RDONLY | O_NONBLOCK);
  return fd < 0 ? fail("open", errno) : dump_head(fd);
}

int cmd_read_tail(char **args) {
  static _Alignas(ALIGNMENT) char tail[TAIL_BYTES + ALIGNMENT];
  int fd = open_direct(args[0], O_RDONLY | O_NONBLOCK);
  if (fd < 0) return fail("open", errno);
  off_t size = lseek(fd, 0, SEEK_END);
  if (size < 0) return fail("lseek", errno);
  off_t rest = size % ALIGNMENT, begin = size - rest - TAIL_BYTES;
  if (begin < 0) begin = 0;
  /* O_DIRECT cannot read an end that is not aligned. */
  if (rest != 0) fcntl(fd, F_SETFL, O_NONBLOCK);
  size_t length = (size_t)(size - begin), held = 0;
  while (held < length) {
    ssize_t got = pread(fd, tail + held, length - held, begin + (off_t)held);
    if (got < 0) return fail("read", errno);
    if (got == 0) return fail("read", ENODATA);
    held += (size_t)got;
  }
  return write_all(tail, length);
}

int cmd_open_exclusive(char **args) {
  int fd = open_direct(args[0], O_RDWR | O_EXCL);
  if (fd < 0) return fail("open", errno);
  if (fsync(fd) != 0) return fail("fsync", errno);
  return dump_head(fd);
}
