/* Whether a user runs a process; see helper.h for the contract. */
#define _GNU_SOURCE
#include "helper.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>

/*
 * Whether one of the four ids of a process is the user: "Uid: REAL EFFECTIVE SAVED FS", proc(5). True when that is not
 * known; false when the process has exited.
 */
static bool is_of(const char *pid, long uid) {
  char path[300], line[256];
  long ids[4];
  snprintf(path, sizeof path, "/proc/%s/status", pid);
  FILE *file = fopen(path, "re");
  if (file == NULL) return errno != ENOENT && errno != ESRCH;
  bool found = false;
  while (!found && fgets(line, sizeof line, file) != NULL) {
    if (sscanf(line, "Uid: %ld %ld %ld %ld", &ids[0], &ids[1], &ids[2], &ids[3]) != 4) continue;
    for (int i = 0; i < 4; i++) found |= ids[i] == uid;
  }
  fclose(file);
  return found;
}

bool user_runs(long uid) {
  DIR *processes = opendir("/proc");
  if (processes == NULL) return true;
  bool found = false;
  while (!found) {
    long pid = 0;
    errno = 0;
    const struct dirent *entry = readdir(processes);
    if (entry == NULL) {
      found = errno != 0;
      break;
    }
    if (parse_number(entry->d_name, 1, INT_MAX, &pid)) found = is_of(entry->d_name, uid);
  }
  closedir(processes);
  return found;
}
