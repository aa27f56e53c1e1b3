/*
 * A walk stays on its mount and follows no symbolic link, not even one that replaces a folder during the walk. It counts
 * a file with several names once, and ignores entries that disappear. It counts an entry that cannot be read as unread,
 * and continues.
 */
#define _GNU_SOURCE
#include "walk.h"

#include "helper.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Number of folders that stay open; below them the walk returns by "..". The limit of a process is 1,024. */
enum { KEPT_FDS = 256 };
/* For the names of folders and for hard links. A normal tree needs much less. */
enum { MEMORY_LIMIT_BYTES = 512 * 1024 * 1024 };
/* At most 16 MiB. When half of it is used, each further name counts with its share of the size. */
enum { FIRST_SLOTS = 1024, MOST_SLOTS = 1024 * 1024 };

/* AT_STATX_DONT_SYNC: a FUSE that does not answer would block the walk without limit. */
enum { LOOK = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC };

static int is_same_mount(const struct statx *a, const struct statx *b) {
#ifdef STATX_MNT_ID
  if ((a->stx_mask & b->stx_mask & STATX_MNT_ID) != 0) return a->stx_mnt_id == b->stx_mnt_id;
#endif
  return a->stx_dev_major == b->stx_dev_major && a->stx_dev_minor == b->stx_dev_minor;
}

static int look(int fd, const char *name, struct statx *facts) {
  unsigned mask = STATX_TYPE | STATX_NLINK | STATX_INO | STATX_BLOCKS;
#ifdef STATX_MNT_ID
  mask |= STATX_MNT_ID;
#endif
  return statx(fd, name, LOOK | AT_EMPTY_PATH, mask, facts);
}

static struct file_id id_of(const struct statx *facts) {
  return (struct file_id){facts->stx_ino, (uint64_t)facts->stx_dev_major << 32 | facts->stx_dev_minor};
}

static int is_same_file(struct file_id a, struct file_id b) { return a.ino == b.ino && a.dev == b.dev; }

static struct file_id *slot_of(struct file_id *linked, size_t slots, struct file_id id) {
  size_t at = (id.ino * 0x9e3779b97f4a7c15u ^ id.dev) >> 20 & (slots - 1);
  while (linked[at].ino != 0 && !is_same_file(linked[at], id)) at = (at + 1) & (slots - 1);
  return &linked[at];
}

static int grow_linked(struct walk *walk) {
  size_t slots = walk->slots == 0 ? FIRST_SLOTS : walk->slots * 2;
  struct file_id *linked = calloc(slots, sizeof *linked);
  if (linked == NULL) return -1;
  for (size_t i = 0; i < walk->slots; i++)
    if (walk->linked[i].ino != 0) *slot_of(linked, slots, walk->linked[i]) = walk->linked[i];
  free(walk->linked);
  walk->linked = linked;
  walk->slots = slots;
  return 0;
}

/* The divisor for the size of a file with several names: 1 when it is new, 0 when it is counted already; -1: no memory. */
static long names_of(struct walk *walk, const struct statx *facts) {
  if (walk->used * 2 >= walk->slots && walk->slots < MOST_SLOTS && grow_linked(walk) != 0) return -1;
  struct file_id *slot = slot_of(walk->linked, walk->slots, id_of(facts));
  if (slot->ino != 0) return 0;
  if (walk->used * 2 >= MOST_SLOTS) return (long)facts->stx_nlink;
  *slot = id_of(facts);
  walk->used++;
  return 1;
}

static int add_name(struct folder *folder, const char *name) {
  size_t size = strlen(name) + 1;
  while (folder->length + size > folder->capacity) {
    size_t capacity = folder->capacity == 0 ? 256 : folder->capacity * 2;
    char *names = realloc(folder->names, capacity);
    if (names == NULL) return -1;
    folder->names = names;
    folder->capacity = capacity;
  }
  memcpy(folder->names + folder->length, name, size);
  folder->length += size;
  return 0;
}

/* FUSE refuses statx to every user but its owner, root included. It still shows that it is another mount. */
static int is_hidden_mount(const struct walk *walk, int fd, const char *name) {
  struct statx facts;
  return statx(fd, name, LOOK, 0, &facts) == 0 && !is_same_mount(&facts, &walk->root);
}

static int count_entry(struct walk *walk, struct folder *folder, const char *name) {
  struct statx facts;
  if (look(folder->fd, name, &facts) != 0) {
    if (errno != ENOENT && !is_hidden_mount(walk, folder->fd, name)) walk->unread++;
    return 0;
  }
  if (!is_same_mount(&facts, &walk->root)) return 0;
  long names = 1;
  if (S_ISDIR(facts.stx_mode)) {
    if (add_name(folder, name) != 0) return fail("malloc", ENOMEM);
  } else if (facts.stx_nlink > 1) {
    names = names_of(walk, &facts);
    if (names < 0) return fail("malloc", ENOMEM);
    if (names == 0) return 0;
  }
  walk->bytes += facts.stx_blocks * STAT_BLOCK_BYTES / (uint64_t)names;
  walk->inodes++;
  return 0;
}

/* Counts the entries of a folder, and keeps the names of the folders among them. */
static int read_folder(struct walk *walk, struct folder *folder) {
  int fd = fcntl(folder->fd, F_DUPFD_CLOEXEC, 0);
  DIR *entries = fd < 0 ? NULL : fdopendir(fd);
  if (entries == NULL) return fail("fdopendir", errno);
  int failed = 0;
  while (!walk_is_late(walk)) {
    errno = 0;
    struct dirent *entry = readdir(entries);
    if (entry == NULL) {
      /* ENOENT: the folder was removed. */
      if (errno != 0 && errno != ENOENT) walk->unread++;
      break;
    }
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    failed = count_entry(walk, folder, entry->d_name);
    if (failed) break;
  }
  closedir(entries);
  return failed;
}

/* Takes the descriptor. */
static int push(struct walk *walk, int fd, const struct statx *facts) {
  if (walk->depth == walk->capacity) {
    size_t capacity = walk->capacity == 0 ? 64 : walk->capacity * 2;
    struct folder *folders = realloc(walk->folders, capacity * sizeof *folders);
    if (folders == NULL) return fail("malloc", ENOMEM);
    walk->folders = folders;
    walk->capacity = capacity;
  }
  if (walk->depth > KEPT_FDS) {
    struct folder *above = &walk->folders[walk->depth - 1];
    close(above->fd);
    above->fd = -1;
  }
  struct folder *folder = &walk->folders[walk->depth++];
  *folder = (struct folder){.fd = fd, .id = id_of(facts)};
  return 0;
}

static int enter(struct walk *walk, int fd, const struct statx *facts) {
  return push(walk, fd, facts) != 0 ? 1 : walk_read(walk);
}

static int enter_next(struct walk *walk) {
  struct folder *folder = &walk->folders[walk->depth - 1];
  const char *name = folder->names + folder->next;
  folder->next += strlen(name) + 1;
  int fd = openat(folder->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) {
    if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) return fail("openat", errno);
    /* For the other errors the folder was removed or replaced. */
    if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP) walk->unread++;
    return 0;
  }
  struct statx facts;
  int is_read = look(fd, "", &facts) == 0;
  if (is_read && is_same_mount(&facts, &walk->root)) return enter(walk, fd, &facts);
  if (!is_read) walk->unread++;
  close(fd);
  return 0;
}

/* Opens the folder above again. -1 when another folder is above now, or when it cannot be opened. */
static int open_above(int fd, struct file_id above) {
  struct statx facts;
  int opened = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (opened < 0) return -1;
  if (look(opened, "", &facts) == 0 && is_same_file(id_of(&facts), above)) return opened;
  close(opened);
  return -1;
}

/* The folder was moved during the walk: skips the rest, up to a folder that is still open. */
static void give_up_branch(struct walk *walk) {
  walk->unread++;
  while (walk->folders[walk->depth - 1].fd < 0) free(walk->folders[--walk->depth].names);
}

static int leave(struct walk *walk) {
  struct folder *folder = &walk->folders[--walk->depth];
  struct folder *above = walk->depth == 0 ? NULL : &walk->folders[walk->depth - 1];
  if (above != NULL && above->fd < 0) above->fd = open_above(folder->fd, above->id);
  close(folder->fd);
  free(folder->names);
  if (above != NULL && above->fd < 0) give_up_branch(walk);
  return 0;
}

int walk_open(struct walk *walk, const char *path) {
#ifndef __SANITIZE_ADDRESS__ /* AddressSanitizer reserves terabytes */
  struct rlimit memory = {MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES};
  if (setrlimit(RLIMIT_AS, &memory) != 0) return fail("setrlimit", errno);
#endif
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return fail("open", errno);
  if (look(fd, "", &walk->root) != 0) return fail("statx", errno);
  return push(walk, fd, &walk->root);
}

int walk_count(struct walk *walk, const char *name) { return count_entry(walk, &walk->folders[walk->depth - 1], name); }

int walk_read(struct walk *walk) { return read_folder(walk, &walk->folders[walk->depth - 1]); }

int walk_down_to(struct walk *walk, size_t depth) {
  int failed = 0;
  while (!failed && !walk_is_late(walk)) {
    const struct folder *folder = &walk->folders[walk->depth - 1];
    if (folder->next < folder->length) failed = enter_next(walk);
    else if (walk->depth > depth) failed = leave(walk);
    else break;
  }
  return failed;
}

void walk_close(struct walk *walk) {
  while (walk->depth > 0) {
    struct folder *folder = &walk->folders[--walk->depth];
    if (folder->fd >= 0) close(folder->fd);
    free(folder->names);
  }
  free(walk->folders);
  free(walk->linked);
}

int walk_is_late(struct walk *walk) {
  if (walk->deadline_ms != 0 && !walk->is_late) walk->is_late = now_ms() >= walk->deadline_ms;
  return walk->is_late;
}
