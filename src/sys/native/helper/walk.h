/* A walk of all that is below a folder. */
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
  char *names; /* of the folders in it, each with its NUL */
  size_t length, capacity, next;
};

struct walk {
  struct statx root;
  struct folder *folders; /* from the root to where it is */
  size_t depth, capacity;
  struct file_id *linked; /* open addressing; ino 0 is free */
  size_t slots, used;
  uint64_t bytes, inodes, unread;
  uint64_t deadline_ms; /* of CLOCK_MONOTONIC; 0: none */
  int is_late;          /* The deadline has passed: what is left was not read. */
};

/* Each returns 0, or reports a failure of its own memory or descriptors and returns 1. */

/* Opens the folder and reads nothing in it yet. Limits the memory of the process. */
int walk_open(struct walk *walk, const char *path);
/* Counts one entry of the folder that the walk is in; a folder among them is noted, and walked later. */
int walk_count(struct walk *walk, const char *name);
/* Counts all that is directly in the folder that the walk is in. */
int walk_read(struct walk *walk);
/* Walks what is noted below the folder at this depth: 1 is the first one. */
int walk_down_to(struct walk *walk, size_t depth);
void walk_close(struct walk *walk);
int walk_is_late(struct walk *walk);

#endif
