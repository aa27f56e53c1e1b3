/*
 * enter LEAF PROGRAM ARGUMENT…: moves itself into the cgroup LEAF below its own, then executes PROGRAM. The kernel
 * charges a page to the cgroup of the process that uses it first, and keeps it there, so a program that moves itself
 * leaves its code charged to the outer cgroup. When the cgroup cannot be used, PROGRAM runs in the outer one.
 */
#define _GNU_SOURCE
#include "helper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CGROUPS "/sys/fs/cgroup"

/* The line of cgroup v2 is "0::PATH": cgroups(7). */
static int own_path(char *path, size_t size) {
  char line[4096];
  int found = 0;
  FILE *file = fopen("/proc/self/cgroup", "re");
  if (file == NULL) return 0;
  while (!found && fgets(line, sizeof line, file) != NULL) {
    line[strcspn(line, "\n")] = '\0';
    found = strncmp(line, "0::/", 4) == 0 && snprintf(path, size, "%s", line + 3) < (int)size;
  }
  fclose(file);
  return found;
}

static int write_to(const char *folder, const char *file, const char *text) {
  char path[8300];
  snprintf(path, sizeof path, "%s/%s", folder, file);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  ssize_t length = (ssize_t)strlen(text), written = write(fd, text, (size_t)length);
  close(fd);
  return written == length;
}

static void enter(const char *leaf) {
  char own[4096], parent[4200], folder[8192];
  if (!own_path(own, sizeof own)) return;
  snprintf(parent, sizeof parent, CGROUPS "%s", strcmp(own, "/") == 0 ? "" : own);
  snprintf(folder, sizeof folder, "%s/%s", parent, leaf);
  if (mkdir(folder, 0755) != 0 && errno != EEXIST) return;
  /* 0 names the writing process. The leaf is charged for memory once its parent delegates the controller. */
  if (write_to(folder, "cgroup.procs", "0")) write_to(parent, "cgroup.subtree_control", "+memory");
}

int cmd_enter(char **args) {
  const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};
  if (args[0] == NULL || args[1] == NULL) return fail("usage", EINVAL);
  enter(args[0]);
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) signal(signals[i], SIG_DFL);
  execv(args[1], args + 1);
  return fail("execv", errno);
}
