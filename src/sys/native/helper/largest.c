/*
 * largest PATH COUNT MS: what is directly in a folder, each with all that is below it, as a walk of at most MS
 * milliseconds finds it. Prints "COMPLETE UNREAD" and, for each of the COUNT largest, "BYTES FILES NAME"; a NUL
 * ends each of these. COMPLETE is 0 where the time was too short.
 */
#define _GNU_SOURCE
#include "helper.h"
#include "walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct entry {
  uint64_t bytes, files;
  char name[NAME_MAX + 1];
};

struct largest {
  struct entry *entries;
  size_t count, held, smallest;
};

static void find_smallest(struct largest *largest) {
  largest->smallest = 0;
  for (size_t i = 1; i < largest->held; i++)
    if (largest->entries[i].bytes < largest->entries[largest->smallest].bytes) largest->smallest = i;
}

static void keep(struct largest *largest, const char *name, uint64_t bytes, uint64_t files) {
  struct entry *entry = &largest->entries[largest->smallest];
  if (largest->held < largest->count) entry = &largest->entries[largest->held++];
  else if (bytes <= entry->bytes) return;
  entry->bytes = bytes;
  entry->files = files;
  snprintf(entry->name, sizeof entry->name, "%s", name);
  find_smallest(largest);
}

static int look_at(struct walk *walk, struct largest *largest, const char *name) {
  struct folder *root = &walk->folders[0];
  uint64_t bytes = walk->bytes, files = walk->inodes;
  root->length = root->next = 0;
  if (walk_count(walk, name) || walk_down_to(walk, 1)) return 1;
  if (walk->inodes > files) keep(largest, name, walk->bytes - bytes, walk->inodes - files);
  return 0;
}

static int look_at_all(struct walk *walk, struct largest *largest) {
  int fd = fcntl(walk->folders[0].fd, F_DUPFD_CLOEXEC, 0), failed = 0;
  DIR *entries = fd < 0 ? NULL : fdopendir(fd);
  if (entries == NULL) return fail("fdopendir", errno);
  while (!failed && !walk_is_late(walk)) {
    errno = 0;
    const struct dirent *entry = readdir(entries);
    if (entry == NULL) {
      if (errno != 0) walk->unread++;
      break;
    }
    const char *name = entry->d_name;
    if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0) failed = look_at(walk, largest, name);
  }
  closedir(entries);
  return failed;
}

static uint64_t in_ms(long limit) {
  struct timespec now = {0, 0};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000 + (uint64_t)limit;
}

int cmd_largest(char **args) {
  struct walk walk = {0};
  long count = number(args[1]), limit = number(args[2]);
  if (count < 1 || limit < 1) return fail("usage", EINVAL);
  struct largest largest = {calloc((size_t)count, sizeof(struct entry)), (size_t)count, 0, 0};
  if (largest.entries == NULL) return fail("malloc", ENOMEM);
  walk.deadline_ms = in_ms(limit);
  int failed = walk_open(&walk, args[0]) || look_at_all(&walk, &largest);
  walk_close(&walk);
  if (!failed) {
    printf("%d %ju%c", !walk.is_late, (uintmax_t)walk.unread, 0);
    for (size_t i = 0; i < largest.held; i++) {
      const struct entry *entry = &largest.entries[i];
      printf("%ju %ju %s%c", (uintmax_t)entry->bytes, (uintmax_t)entry->files, entry->name, 0);
    }
  }
  free(largest.entries);
  return failed;
}
