/*
 * drain (HOW ID PATH)…: does each step in this order, also after a failure. Prints a line for each failed step: its
 * number, from 0, and the error, such as "2 fsync EROFS". Follows no symbolic link in a path. HOW is
 *   sync      syncfs(2) and fsync(2) of the mount with the `mnt_id` ID at this path
 *   shutdown  FS_IOC_SHUTDOWN with flag 0 of that mount
 *   device    fsync(2) of a block device; with the ID "leaf" it fails when the device is mounted or held (open EBUSY)
 */
#define _GNU_SOURCE
#include "helper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

struct failure {
  const char *call;
  int error;
};

static const struct failure none = {NULL, 0};

static struct failure failed(const char *call) { return (struct failure){call, errno}; }

static bool is_mount(int fd, const char *id) {
  char path[32], line[64];
  long wanted = 0;
  bool found = false;
  if (!parse_number(id, 0, LONG_MAX, &wanted)) return false;
  snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
  FILE *info = fopen(path, "re");
  if (info == NULL) return false;
  while (!found && fgets(line, sizeof line, info) != NULL)
    found = strncmp(line, "mnt_id:", 7) == 0 && strtol(line + 7, NULL, 10) == wanted;
  fclose(info);
  return found;
}

static struct failure drain_mount(int fd, const char *how, const char *id) {
  uint32_t flush = 0;
  if (!is_mount(fd, id)) return (struct failure){"open", ESTALE};
  if (strcmp(how, "shutdown") == 0) return ioctl(fd, IOC_SHUTDOWN, &flush) != 0 ? failed("ioctl") : none;
  const char *call = sync_mount(fd);
  return call == NULL ? none : failed(call);
}

/* Reads errno of fsync(2). A loop device that was detached meanwhile has written everything, and fails with EIO. */
static struct failure failed_device(int fd) {
  struct failure failure = failed("fsync");
  struct loop_info64 info;
  return ioctl(fd, LOOP_GET_STATUS64, &info) != 0 && errno == ENXIO ? none : failure;
}

static int open_path(const char *path, int flags) {
  struct open_how as = {
      .flags = (uint64_t)(O_RDONLY | O_CLOEXEC | O_NONBLOCK | flags),
      .resolve = RESOLVE_NO_SYMLINKS,
  };
  return (int)syscall(SYS_openat2, AT_FDCWD, path, &as, sizeof as);
}

/* Closes the device at once: while it is open exclusively, mkfs and mount of others fail with EBUSY. */
static struct failure probe_leaf(const char *path) {
  int fd = open_path(path, O_EXCL);
  if (fd < 0) return errno == EBUSY ? failed("open") : none;
  close(fd);
  return none;
}

static struct failure drain(const char *how, const char *id, const char *path) {
  bool is_device = strcmp(how, "device") == 0;
  int fd = open_path(path, 0);
  /* A loop device that was detached meanwhile has written everything. */
  if (fd < 0 && is_device && (errno == ENXIO || errno == ENODEV || errno == ENOENT)) return none;
  if (fd < 0) return failed("open");
  struct failure failure = none;
  if (!is_device) failure = drain_mount(fd, how, id);
  else if (fsync(fd) != 0) failure = failed_device(fd);
  close(fd);
  return is_device && failure.error == 0 && strcmp(id, "leaf") == 0 ? probe_leaf(path) : failure;
}

int cmd_drain(char **args) {
  /* The kernel reports a failed write once, and a later step may hang: so each line is written at once. */
  setvbuf(stdout, NULL, _IOLBF, 0);
  for (int index = 0; args[0] != NULL && args[1] != NULL && args[2] != NULL; args += 3, index++) {
    struct failure failure = drain(args[0], args[1], args[2]);
    if (failure.error == 0) continue;
    const char *name = strerrorname_np(failure.error);
    if (printf("%d %s %s\n", index, failure.call, name == NULL ? "EUNKNOWN" : name) < 0) return fail("write", EIO);
  }
  return 0;
}
