/* A walk of everything below a folder. */
#ifndef GUESTD_HELPER_WALK_H
#define GUESTD_HELPER_WALK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

struct file_id {
  uint64_t ino;
  uint64_t dev;
};

struct folder {
  int fd; /* -1 while it is closed */
  struct file_id id;
  char *names; /* of the folders in it, each followed by a NUL */
  size_t length, capacity, next;
};

struct walk {
  struct statx root;
  struct folder *folders; /* from the root to the current one */
  size_t depth, capacity;
  struct file_id *linked; /* open addressing; ino 0 is free */
  size_t slots, used;
  uint64_t bytes, inodes, unread;
  uint64_t deadline_ms; /* compared with now_ms(); 0: none */
  int is_late;          /* the deadline has passed; the rest was not read */
};

/* Each returns 0. When memory or descriptors are short it reports that with `fail`, and returns 1. */

/* Opens the folder without reading it. Limits the memory of the process. */
int walk_open(struct walk *walk, const char *path);
/* Counts one entry of the current folder. A folder is walked later. */
int walk_count(struct walk *walk, const char *name);
/* Counts all entries of the current folder. */
int walk_read(struct walk *walk);
/* Walks the folders counted so far, and returns to this depth; the first folder has depth 1. */
int walk_down_to(struct walk *walk, size_t depth);
void walk_close(struct walk *walk);
int walk_is_late(struct walk *walk);

#endif
