/*
 * trim MS: gives the free space of the file system of WORKSPACE_FD back to the device (FITRIM), group by group, for at
 * most MS milliseconds. It starts at a random group, so that several calls cover a volume that is too large for one.
 * Prints "BYTES COMPLETE", or "unsupported" when the device does not support discards.
 */
#define _GNU_SOURCE
#include "helper.h"

#include <errno.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>
#include <time.h>

/* Size of a group of ext4 with blocks of 4 KiB. With smaller blocks a step covers several groups. */
static const uint64_t STEP_BYTES = 128 * 1024 * 1024;
/* A discard of a smaller extent costs more than it frees. It limits a step to 2,048 discards. */
static const uint64_t LEAST_BYTES = 64 * 1024;

static uint64_t random_below(uint64_t limit) {
  struct timespec now = {0, 0};
  clock_gettime(CLOCK_REALTIME, &now);
  return ((uint64_t)now.tv_nsec / 1000 + (uint64_t)now.tv_sec) % limit;
}

int cmd_trim(char **args) {
  long limit = 0;
  struct statvfs facts;
  if (!parse_number(args[0], 0, LONG_MAX, &limit)) return fail("usage", EINVAL);
  if (fstatvfs(WORKSPACE_FD, &facts) != 0) return fail("statvfs", errno);
  /* f_blocks does not include the tables, so the last group may begin after it. A step past the end fails: EINVAL. */
  uint64_t steps = facts.f_blocks * facts.f_frsize / STEP_BYTES + 1;
  uint64_t first = random_below(steps), done = 0, bytes = 0, deadline = now_ms() + (uint64_t)limit;
  for (; done < steps && now_ms() < deadline; done++) {
    struct fstrim_range range = {(first + done) % steps * STEP_BYTES, STEP_BYTES, LEAST_BYTES};
    /* The last step goes on to the end of the device. */
    if ((first + done) % steps == steps - 1) range.len = UINT64_MAX - range.start;
    if (ioctl(WORKSPACE_FD, FITRIM, &range) == 0) bytes += range.len;
    else if (errno == EOPNOTSUPP) return printf("unsupported\n") < 0 ? fail("write", EIO) : 0;
    else if (errno != EINVAL) return fail("ioctl", errno);
  }
  return printf("%ju %d\n", (uintmax_t)bytes, done == steps) < 0 ? fail("write", EIO) : 0;
}
