/*
 * read-mark PATH OFFSET: writes the 8 KiB at OFFSET to stdout: both slots of the mark.
 * write-mark PATH END OFFSET: writes 4 KiB from stdin to OFFSET. They are durable when it exits. The write bypasses the
 * page cache (O_DIRECT), so that the slot is written as a whole; a file without O_DIRECT is written and synced.
 * ESTALE: the ext4 no longer ends at END, as after a resize. Nothing is written then: the bytes may belong to a file.
 */
#define _GNU_SOURCE
#include "helper.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

enum { SLOT_BYTES = 4096, SLOTS = 2 };

static _Alignas(SLOT_BYTES) char slots[SLOTS * SLOT_BYTES];

int cmd_read_mark(char **args) {
  long offset = 0;
  if (!parse_number(args[1], 0, LONG_MAX, &offset)) return fail("usage", EINVAL);
  int fd = open_direct(args[0], O_RDONLY);
  if (fd < 0) return fail("open", errno);
  ssize_t got = pread(fd, slots, sizeof slots, offset);
  if (got < 0) return fail("read", errno);
  if (got != sizeof slots) return fail("read", ENODATA);
  return write_all(slots, sizeof slots);
}

static uint32_t field(const unsigned char *block, size_t at) {
  uint32_t value = 0;
  memcpy(&value, block + at, sizeof value);
  return le32toh(value);
}

/*
 * Whether the ext4 ends at `end`: 0, or fails. Reads through the page cache, which holds the superblock of a mounted file
 * system. Without an ext4 any end is right.
 */
static int ends_at(const char *path, uint64_t end) {
  enum { SUPERBLOCK = 1024, MAGIC = 0xef53, WIDE = 0x80, MAX_LOG_BLOCK = 6 };
  unsigned char block[1024];
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fail("open", errno);
  ssize_t got = pread(fd, block, sizeof block, SUPERBLOCK);
  int error = errno;
  close(fd);
  if (got < 0) return fail("read", error);
  if (got != sizeof block || (field(block, 0x38) & 0xffff) != MAGIC) return 0;
  uint64_t blocks = field(block, 0x04);
  if ((field(block, 0x60) & WIDE) != 0) blocks |= (uint64_t)field(block, 0x150) << 32;
  uint32_t log = field(block, 0x18);
  return log <= MAX_LOG_BLOCK && blocks << (10 + log) != end ? fail("resize", ESTALE) : 0;
}

int cmd_write_mark(char **args) {
  long end = 0, offset = 0;
  if (!parse_number(args[1], 0, LONG_MAX, &end) || !parse_number(args[2], end, LONG_MAX, &offset))
    return fail("usage", EINVAL);
  for (size_t held = 0; held < SLOT_BYTES;) {
    ssize_t got = read(STDIN_FILENO, slots + held, SLOT_BYTES - held);
    if (got < 0) return fail("read", errno);
    if (got == 0) return fail("read", ENODATA);
    held += (size_t)got;
  }
  if (ends_at(args[0], (uint64_t)end) != 0) return 1;
  int fd = open_direct(args[0], O_RDWR);
  if (fd < 0) return fail("open", errno);
  ssize_t written = pwrite(fd, slots, SLOT_BYTES, offset);
  if (written < 0) return fail("write", errno);
  if (written != SLOT_BYTES) return fail("write", EIO);
  return fsync(fd) != 0 ? fail("fsync", errno) : 0;
}
