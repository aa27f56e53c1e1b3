/*
 * usage PATH: walks everything below a folder and prints "BYTES INODES UNREAD CPU_US": the space allocated on the disk,
 * the number of files and folders (both without the folder itself), the number of entries that could not be read, and
 * the processor time of the walk. An entry that cannot be read does not end the walk. It fails when the folder cannot be
 * opened, and when the helper itself is short of memory or descriptors.
 */
#define _GNU_SOURCE
#include "helper.h"
#include "walk.h"

#include <stdio.h>
#include <time.h>

static uint64_t cpu_us(void) {
  struct timespec used = {0, 0};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return (uint64_t)used.tv_sec * 1000000 + (uint64_t)used.tv_nsec / 1000;
}

int cmd_usage(char **args) {
  struct walk walk = {0};
  int failed = walk_open(&walk, args[0]) || walk_read(&walk) || walk_down_to(&walk, 1);
  walk_close(&walk);
  if (failed) return failed;
  printf("%ju %ju %ju %ju\n", (uintmax_t)walk.bytes, (uintmax_t)walk.inodes, (uintmax_t)walk.unread,
         (uintmax_t)cpu_us());
  return 0;
}
