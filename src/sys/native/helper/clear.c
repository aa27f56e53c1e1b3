/*
 * clear UIDS FOLDER…: removes files that users have left in folders that all users can write to, such as /tmp. UIDS are
 * separated by commas. It removes an entry when its owner is one of them, no process runs as that user, and the entry
 * has not changed since this program started. Prints the number of removed entries, their bytes, and the number that
 * stay.
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
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { NAME_BYTES = 32, MOST_USERS = 64 };

#define PIT_PREFIX ".guestd-clear-"

struct clearing {
  /* The new folder that only root can open. */
  int pit;
  /* Number of entries moved into it: each name in it is new. */
  unsigned long moved;
  unsigned long removed;
  unsigned long long bytes;
  unsigned long kept;
  /* Number of entries left in the pit by the latest pass. */
  unsigned long kept_in_pit;
  struct timespec began;
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

/* Moves an entry into the pit under a new name. */
static int take(struct clearing *state, int folder, const char *name) {
  char to[NAME_BYTES];
  snprintf(to, sizeof to, "%lu", state->moved);
  if (renameat(folder, name, state->pit, to) != 0) return -1;
  state->moved++;
  return 0;
}

static void drop_file(struct clearing *state, int folder, const char *name, const struct stat *facts) {
  if (unlinkat(folder, name, 0) != 0) {
    state->kept_in_pit++;
    return;
  }
  state->removed++;
  if (facts->st_nlink == 1) state->bytes += (unsigned long long)facts->st_blocks * STAT_BLOCK_BYTES;
}

/* Removes the files of a folder of the pit, and moves its folders up. */
static void empty(struct clearing *state, const char *name) {
  int folder = openat(state->pit, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  DIR *stream = folder < 0 ? NULL : entries(folder);
  const char *entry;
  while (stream != NULL && (entry = next_name(stream)) != NULL) {
    struct stat facts;
    if (fstatat(folder, entry, &facts, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (!S_ISDIR(facts.st_mode)) drop_file(state, folder, entry, &facts);
    else if (take(state, folder, entry) != 0) state->kept_in_pit++;
  }
  if (stream != NULL) closedir(stream);
  if (folder >= 0) close(folder);
}

/* One pass over the pit: whether it removed or moved anything. */
static int empty_pit(struct clearing *state) {
  unsigned long before = state->removed + state->moved;
  state->kept_in_pit = 0;
  DIR *stream = entries(state->pit);
  const char *name;
  while (stream != NULL && (name = next_name(stream)) != NULL) {
    struct stat facts;
    if (fstatat(state->pit, name, &facts, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (!S_ISDIR(facts.st_mode)) {
      drop_file(state, state->pit, name, &facts);
      continue;
    }
    empty(state, name);
    if (unlinkat(state->pit, name, AT_REMOVEDIR) == 0) state->removed++;
  }
  if (stream != NULL) closedir(stream);
  return state->removed + state->moved != before;
}

static int changed_since(const struct stat *facts, const struct timespec *began) {
  return facts->st_ctim.tv_sec > began->tv_sec ||
         (facts->st_ctim.tv_sec == began->tv_sec && facts->st_ctim.tv_nsec >= began->tv_nsec);
}

static int is_left(const struct clearing *state, const char *name, const struct stat *facts) {
  /* The pit of an earlier call that was killed. */
  if (facts->st_uid == 0) return S_ISDIR(facts->st_mode) && strncmp(name, PIT_PREFIX, strlen(PIT_PREFIX)) == 0;
  if (changed_since(facts, &state->began)) return 0;
  for (size_t i = 0; i < state->user_count; i++)
    if (state->users[i] == (long)facts->st_uid) return 1;
  return 0;
}

static void clear_folder(struct clearing *state, int folder) {
  char pit[NAME_BYTES];
  snprintf(pit, sizeof pit, PIT_PREFIX "%ld", (long)getpid());
  if (mkdirat(folder, pit, 0700) != 0) return;
  state->pit = openat(folder, pit, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  DIR *stream = state->pit < 0 ? NULL : entries(folder);
  const char *name;
  while (stream != NULL && (name = next_name(stream)) != NULL) {
    struct stat facts;
    if (strcmp(name, pit) == 0 || fstatat(folder, name, &facts, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (is_left(state, name, &facts) && take(state, folder, name) != 0) state->kept++;
  }
  if (stream != NULL) closedir(stream);
  while (state->pit >= 0 && empty_pit(state)) continue;
  state->kept += state->kept_in_pit;
  if (state->pit >= 0) close(state->pit);
  unlinkat(folder, pit, AT_REMOVEDIR);
}

/* Keeps the users of the list that run no process. */
static void read_users(struct clearing *state, char *list) {
  for (char *one = strtok(list, ","); one != NULL && state->user_count < MOST_USERS; one = strtok(NULL, ",")) {
    long uid = 0;
    if (parse_number(one, 1, MAX_ID, &uid) && !user_runs(uid)) state->users[state->user_count++] = uid;
  }
}

int cmd_clear(char **args) {
  struct clearing state = {.pit = -1};
  if (*args == NULL) return fail("arguments", EINVAL);
  /* The clock of st_ctim: it advances with the ticks of the kernel. */
  if (clock_gettime(CLOCK_REALTIME_COARSE, &state.began) != 0) return fail("clock_gettime", errno);
  read_users(&state, *args++);
  for (; *args != NULL; args++) {
    int folder = open(*args, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0) continue;
    clear_folder(&state, folder);
    close(folder);
  }
  printf("%lu %llu %lu\n", state.removed, state.bytes, state.kept);
  return 0;
}
