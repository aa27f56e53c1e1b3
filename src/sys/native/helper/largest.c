/*
 * largest PATH COUNT MS: finds the COUNT largest entries of a folder, each with everything below it, in a walk of at
 * most MS milliseconds. Prints "COMPLETE UNREAD", and "BYTES FILES NAME" for each entry, each followed by a NUL.
 * COMPLETE is 0 when the time was too short.
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

int cmd_largest(char **args) {
  struct walk walk = {0};
  long count = 0, limit = 0;
  if (!parse_number(args[1], 1, INT_MAX, &count) || !parse_number(args[2], 1, INT_MAX, &limit))
    return fail("usage", EINVAL);
  struct largest largest = {calloc((size_t)count, sizeof(struct entry)), (size_t)count, 0, 0};
  if (largest.entries == NULL) return fail("malloc", ENOMEM);
  walk.deadline_ms = now_ms() + (uint64_t)limit;
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
