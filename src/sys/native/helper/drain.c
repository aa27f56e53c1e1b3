/*
 * drain (HOW ID PATH)…: does all of it in this order, whatever fails, and prints the number of each that failed, from 0 on,
 * and why: "2 fsync EROFS". No symbolic link of a path is followed. HOW is
 *   sync      syncfs(2) and fsync(2) of the mount with this `mnt_id` at this path
 *   shutdown  FS_IOC_SHUTDOWN with flag 0 of it
 *   device    fsync(2) of a block device; with the ID "leaf" it must not be mounted or claimed (open EBUSY)
 */
#define _GNU_SOURCE
#include "helper.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define IOC_SHUTDOWN _IOR('X', 125, uint32_t)

struct failure {
  const char *call;
  int error;
};

static const struct failure none = {NULL, 0};

static struct failure failed(const char *call) {
  return (struct failure){call, errno};
}

static int is_mount(int fd, const char *id) {
  char path[32], line[64];
  int found = 0;
  snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
  FILE *info = fopen(path, "re");
  if (info == NULL) return 0;
  while (!found && fgets(line, sizeof line, info) != NULL)
    found = strncmp(line, "mnt_id:", 7) == 0 && strtol(line + 7, NULL, 10) == number(id);
  fclose(info);
  return found;
}

static struct failure drain_mount(int fd, const char *how, const char *id) {
  uint32_t write_all_out = 0;
  errno = ESTALE;
  if (!is_mount(fd, id)) return failed("open");
  if (strcmp(how, "shutdown") == 0)
    return ioctl(fd, IOC_SHUTDOWN, &write_all_out) != 0 ? failed("ioctl") : none;
  if (syncfs(fd) != 0) return failed("syncfs");
  /* As in `sync`. */
  if (fsync(fd) != 0 && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP) return failed("fsync");
  return none;
}

/* Takes errno of fsync(2). A loop device that was taken apart meanwhile has written all to its file, and fails with EIO. */
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

/* The claim ends at once: while it lasts, mkfs and mount of others fail with EBUSY. */
static struct failure probe_leaf(const char *path) {
  int fd = open_path(path, O_EXCL);
  if (fd < 0) return errno == EBUSY ? failed("open") : none;
  close(fd);
  return none;
}

static struct failure drain(const char *how, const char *id, const char *path) {
  int is_device = strcmp(how, "device") == 0;
  int fd = open_path(path, 0);
  /* A loop device that was taken apart meanwhile has written all to its file. */
  if (fd < 0 && is_device && (errno == ENXIO || errno == ENODEV || errno == ENOENT)) return none;
  if (fd < 0) return failed("open");
  struct failure failure = none;
  if (!is_device) failure = drain_mount(fd, how, id);
  else if (fsync(fd) != 0) failure = failed_device(fd);
  close(fd);
  return is_device && failure.error == 0 && strcmp(id, "leaf") == 0 ? probe_leaf(path) : failure;
}

int cmd_drain(char **args) {
  /* The kernel reports a failed write once: each line has to be out before a later call may hang. */
  setvbuf(stdout, NULL, _IOLBF, 0);
  for (int index = 0; args[0] != NULL && args[1] != NULL && args[2] != NULL; args += 3, index++) {
    struct failure failure = drain(args[0], args[1], args[2]);
    if (failure.error == 0) continue;
    const char *name = strerrorname_np(failure.error);
    if (printf("%d %s %s\n", index, failure.call, name == NULL ? "EUNKNOWN" : name) < 0) return fail("write", EIO);
  }
  return 0;
}
