/*
 * clear UIDS MS FOLDER…: removes what users have left in folders that all users can write to, such as /tmp. UIDS are
 * separated by commas. It removes an entry with everything in it when the owner of the entry is one of them, no process
 * runs as that user, and the entry has not changed since this program started. Prints the number of removed entries,
 * their bytes, and the number that stay. After MS milliseconds it stops; what it has not removed stays.
 *
 * It first moves an entry into a new folder that only root can open, so that no user can put another file in its place.
 * Folders below the entry are moved up there one by one, so that a deep tree takes neither memory nor descriptors. It
 * follows no link: unlinkat(2) and renameat(2) take a name in an open folder.
 */
#define _GNU_SOURCE
#include "helper.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { NAME_BYTES = 40, MOST_USERS = 64, MOST_NAMES = 16, MAX_MS = 600000 };

#define STAGING_PREFIX ".guestd-clear-"

struct clearing {
  /* The new folder that only root can open. */
  int staging;
  /* Number of entries moved into it: each name in it is new. */
  unsigned long moved;
  unsigned long removed;
  unsigned long long bytes;
  unsigned long kept;
  /* Number of entries left in it by the latest pass. */
  unsigned long kept_in_staging;
  struct timespec began;
  /* Of CLOCK_MONOTONIC. */
  struct timespec deadline;
  /* Owners of the entries to remove. */
  long users[MOST_USERS];
  size_t user_count;
};

/* Reads an open folder from its start. The caller keeps the descriptor. */
static DIR *entries(int folder) {
  int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *stream = fd < 0 ? NULL : fdopendir(fd);
  if (stream == NULL && fd >= 0) close(fd);
  return stream;
}

static const char *next_name(DIR *stream) {
  const struct dirent *entry;
  while ((entry = readdir(stream)) != NULL)
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) return entry->d_name;
  return NULL;
}

static int is_late(const struct clearing *state) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec > state->deadline.tv_sec ||
         (now.tv_sec == state->deadline.tv_sec && now.tv_nsec >= state->deadline.tv_nsec);
}

/* Moves an entry into the staging folder under a new name. */
static int take(struct clearing *state, int folder, const char *name) {
  char to[NAME_BYTES];
  snprintf(to, sizeof to, "%lu", state->moved);
  if (renameat(folder, name, state->staging, to) != 0) return -1;
  state->moved++;
  return 0;
}

static void drop_file(struct clearing *state, int folder, const char *name, const struct stat *facts) {
  if (unlinkat(folder, name, 0) != 0) {
    state->kept_in_staging++;
    return;
  }
  state->removed++;
  if (facts->st_nlink == 1) state->bytes += (unsigned long long)facts->st_blocks * STAT_BLOCK_BYTES;
}

/* Removes the files of a folder in the staging folder, and moves its folders up. */
static void empty_folder(struct clearing *state, const char *name) {
  int folder = openat(state->staging, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  DIR *stream = folder < 0 ? NULL : entries(folder);
  const char *entry;
  while (stream != NULL && !is_late(state) && (entry = next_name(stream)) != NULL) {
    struct stat facts;
    if (fstatat(folder, entry, &facts, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (!S_ISDIR(facts.st_mode)) drop_file(state, folder, entry, &facts);
    else if (take(state, folder, entry) != 0) state->kept_in_staging++;
  }
  if (stream != NULL) closedir(stream);
  if (folder >= 0) close(folder);
}

/* One pass over the staging folder: whether it removed or moved anything. */
static int empty_staging(struct clearing *state) {
  unsigned long before = state->removed + state->moved;
  state->kept_in_staging = 0;
  DIR *stream = entries(state->staging);
  const char *name;
  while (stream != NULL && !is_late(state) && (name = next_name(stream)) != NULL) {
    struct stat facts;
    if (fstatat(state->staging, name, &facts, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (!S_ISDIR(facts.st_mode)) {
      drop_file(state, state->staging, name, &facts);
      continue;
    }
    empty_folder(state, name);
    if (unlinkat(state->staging, name, AT_REMOVEDIR) == 0) state->removed++;
  }
  if (stream != NULL) closedir(stream);
  return state->removed + state->moved != before;
}

static int changed_since(const struct stat *facts, const struct timespec *began) {
  return facts->st_ctim.tv_sec > began->tv_sec ||
         (facts->st_ctim.tv_sec == began->tv_sec && facts->st_ctim.tv_nsec >= began->tv_nsec);
}

static int is_left(const struct clearing *state, const char *name, const struct stat *facts) {
  /* The staging folder of an earlier call that was killed or late. */
  if (facts->st_uid == 0) return S_ISDIR(facts->st_mode) && strncmp(name, STAGING_PREFIX, strlen(STAGING_PREFIX)) == 0;
  if (changed_since(facts, &state->began)) return 0;
  for (size_t i = 0; i < state->user_count; i++)
    if (state->users[i] == (long)facts->st_uid) return 1;
  return 0;
}

/* A random name: users can take every name that they can guess. */
static int make_staging(struct clearing *state, int folder, char *name, size_t size) {
  for (int attempt = 0; attempt < MOST_NAMES; attempt++) {
    unsigned long long random;
    if (getrandom(&random, sizeof random, 0) != sizeof random) return -1;
    snprintf(name, size, STAGING_PREFIX "%016llx", random);
    if (mkdirat(folder, name, 0700) == 0) {
      state->staging = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
      return state->staging < 0 ? -1 : 0;
    }
    if (errno != EEXIST) return -1;
  }
  return -1;
}

static int clear_folder(struct clearing *state, int folder) {
  char staging[NAME_BYTES];
  if (make_staging(state, folder, staging, sizeof staging) != 0) return -1;
  DIR *stream = entries(folder);
  const char *name;
  while (stream != NULL && !is_late(state) && (name = next_name(stream)) != NULL) {
    struct stat facts;
    if (strcmp(name, staging) == 0 || fstatat(folder, name, &facts, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (is_left(state, name, &facts) && take(state, folder, name) != 0) state->kept++;
  }
  if (stream != NULL) closedir(stream);
  while (empty_staging(state)) continue;
  state->kept += state->kept_in_staging;
  close(state->staging);
  /* With something in it, it stays for the next call. */
  if (unlinkat(folder, staging, AT_REMOVEDIR) != 0 && state->kept_in_staging == 0) state->kept++;
  return 0;
}

/* Keeps the users of the list that run no process. */
static void read_users(struct clearing *state, char *list) {
  for (char *one = strtok(list, ","); one != NULL && state->user_count < MOST_USERS; one = strtok(NULL, ",")) {
    long uid = 0;
    if (parse_number(one, 1, MAX_ID, &uid) && !user_runs(uid)) state->users[state->user_count++] = uid;
  }
}

int cmd_clear(char **args) {
  struct clearing state = {.staging = -1};
  long ms = 0;
  if (args[0] == NULL || args[1] == NULL || !parse_number(args[1], 0, MAX_MS, &ms)) return fail("arguments", EINVAL);
  /* The clock of st_ctim: it advances with the ticks of the kernel. */
  if (clock_gettime(CLOCK_REALTIME_COARSE, &state.began) != 0) return fail("clock_gettime", errno);
  if (clock_gettime(CLOCK_MONOTONIC, &state.deadline) != 0) return fail("clock_gettime", errno);
  state.deadline.tv_sec += ms / 1000;
  read_users(&state, args[0]);
  for (args += 2; *args != NULL; args++) {
    int folder = open(*args, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0) continue;
    int failed = clear_folder(&state, folder) != 0;
    int error = errno;
    close(folder);
    if (failed) return fail("mkdirat", error);
  }
  printf("%lu %llu %lu\n", state.removed, state.bytes, state.kept);
  return 0;
}
