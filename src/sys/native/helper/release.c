/*
 * Takes away what others have left on the workspace. They may rename folders around it meanwhile, so no symbolic link
 * of a path is followed (openat2(2), RESOLVE_NO_SYMLINKS).
 *
 * release (HOW PATH)…: does all of it in this order, whatever fails, except the step after a `seclude` that failed:
 * an unmount there would reach other mounts. HOW is
 *   swapoff   a swap file or device is taken out of use
 *   seclude   MS_PRIVATE: an unmount in this mount does not reach the mounts that it was bound from (mount(8), --rbind)
 *   unmount   umount2(2) of what was mounted there last
 * backed: prints each loop device and the device of the file system that its file is on, "/dev/loop3 254:16", one a line.
 */
#define _GNU_SOURCE
#include "helper.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/loop.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { PROC_PATH_BYTES = 32 };

/* A descriptor that stays on what was there; -1 with errno. */
static int open_place(const char *path) {
  struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS};
  return (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
}

static int unmount(const char *at) {
  char parent[PATH_MAX], place[PROC_PATH_BYTES + NAME_MAX + 1];
  const char *slash = strrchr(at, '/');
  if (slash == NULL || strlen(at) >= sizeof parent) return ENAMETOOLONG;
  const char *name = slash + 1;
  if (*name == '\0' || strlen(name) > NAME_MAX) return EINVAL;
  size_t length = slash == at ? 1 : (size_t)(slash - at);
  memcpy(parent, at, length);
  parent[length] = '\0';
  int fd = open_place(parent);
  if (fd < 0) return errno;
  snprintf(place, sizeof place, "/proc/self/fd/%d/%s", fd, name);
  int error = umount2(place, UMOUNT_NOFOLLOW) != 0 ? errno : 0;
  close(fd);
  return error;
}

static int seclude(const char *place) {
  return mount(NULL, place, NULL, MS_PRIVATE, NULL) != 0 ? errno : 0;
}

static int end_swap(const char *place) {
  return swapoff(place) != 0 ? errno : 0;
}

static int with_place(const char *path, int (*run)(const char *place)) {
  char place[PROC_PATH_BYTES];
  int fd = open_place(path);
  if (fd < 0) return errno;
  snprintf(place, sizeof place, "/proc/self/fd/%d", fd);
  int error = run(place);
  close(fd);
  return error;
}

static int release(const char *how, const char *path) {
  if (strcmp(how, "unmount") == 0) return unmount(path);
  if (strcmp(how, "seclude") == 0) return with_place(path, seclude);
  return strcmp(how, "swapoff") == 0 ? with_place(path, end_swap) : EINVAL;
}

int cmd_release(char **args) {
  int first = 0, is_open = 0;
  for (; args[0] != NULL && args[1] != NULL; args += 2) {
    int error = is_open ? ECANCELED : release(args[0], args[1]);
    is_open = error != 0 && strcmp(args[0], "seclude") == 0;
    if (first == 0) first = error;
  }
  return first == 0 ? 0 : fail("release", first);
}

static int print_backing(const char *name) {
  struct loop_info64 info;
  char path[PROC_PATH_BYTES];
  snprintf(path, sizeof path, "/dev/%.16s", name);
  int loop = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (loop < 0) return 0;
  int is_set_up = ioctl(loop, LOOP_GET_STATUS64, &info) == 0;
  close(loop);
  if (!is_set_up) return 0;
  return printf("%s %u:%u\n", path, major(info.lo_device), minor(info.lo_device)) < 0 ? fail("write", EIO) : 0;
}

int cmd_backed(char **args) {
  (void)args;
  int failed = 0;
  DIR *devices = opendir("/sys/block");
  if (devices == NULL) return fail("opendir", errno);
  for (struct dirent *entry; !failed && (entry = readdir(devices)) != NULL;)
    if (strncmp(entry->d_name, "loop", 4) == 0) failed = print_backing(entry->d_name);
  closedir(devices);
  return failed;
}
