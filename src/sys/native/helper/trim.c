/*
 * trim MS: gives the free space of the file system of descriptor 3 back to the device (FITRIM), group by group, for at
 * most MS milliseconds. It begins at a group by chance, so that a volume which is too large for one call gets all of it
 * over several. Prints "BYTES COMPLETE"; "unsupported" where the device takes no discards.
 */
#define _GNU_SOURCE
#include "helper.h"

#include <errno.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>
#include <time.h>

enum { HELD_FD = 3 };
/* A group of ext4 with blocks of 4 KiB; with smaller blocks several. */
static const uint64_t STEP_BYTES = 128 * 1024 * 1024;
/* Smaller pieces cost more than they give: so there are at most 2,048 discards in a step. */
static const uint64_t LEAST_BYTES = 64 * 1024;

static uint64_t now_ms(void) {
  struct timespec now = {0, 0};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t by_chance(uint64_t below) {
  struct timespec now = {0, 0};
  clock_gettime(CLOCK_REALTIME, &now);
  return ((uint64_t)now.tv_nsec / 1000 + (uint64_t)now.tv_sec) % below;
}

int cmd_trim(char **args) {
  long limit = number(args[0]);
  struct statvfs facts;
  if (limit < 0) return fail("usage", EINVAL);
  if (fstatvfs(HELD_FD, &facts) != 0) return fail("statvfs", errno);
  /* What statfs leaves out, the tables, may lie before the last group: a step past the end is refused. */
  uint64_t steps = facts.f_blocks * facts.f_frsize / STEP_BYTES + 1;
  uint64_t first = by_chance(steps), done = 0, bytes = 0, deadline = now_ms() + (uint64_t)limit;
  for (; done < steps && now_ms() < deadline; done++) {
    struct fstrim_range range = {(first + done) % steps * STEP_BYTES, STEP_BYTES, LEAST_BYTES};
    /* The last step reaches to the end, wherever that is. */
    if ((first + done) % steps == steps - 1) range.len = UINT64_MAX - range.start;
    if (ioctl(HELD_FD, FITRIM, &range) == 0) bytes += range.len;
    else if (errno == EOPNOTSUPP) return printf("unsupported\n") < 0 ? fail("write", EIO) : 0;
    else if (errno != EINVAL) return fail("ioctl", errno);
  }
  return printf("%ju %d\n", (uintmax_t)bytes, done == steps) < 0 ? fail("write", EIO) : 0;
}
