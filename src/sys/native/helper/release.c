/*
 * Removes mounts and swap that others have left on the workspace. They may rename folders meanwhile, so no symbolic link
 * in a path is followed (openat2(2), RESOLVE_NO_SYMLINKS).
 *
 * release (HOW PATH)…: does each step in this order, also after a failure, but skips the step after a failed `seclude`:
 * an unmount there would propagate to other mounts. HOW is
 *   swapoff   disables a swap file or device
 *   seclude   MS_PRIVATE: an unmount in this mount does not propagate to the mounts it was bound from (mount(8), --rbind)
 *   unmount   umount2(2) of the topmost mount there
 * backed: prints each loop device and the device of the file system of its file, "/dev/loop3 254:16", one on each line.
 */
#define _GNU_SOURCE
#include "helper.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { PROC_PATH_BYTES = 32 };

/* Opens a path, which cannot be replaced after that; -1 with errno. */
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

static int seclude(const char *place) { return mount(NULL, place, NULL, MS_PRIVATE, NULL) != 0 ? errno : 0; }

static int end_swap(const char *place) { return swapoff(place) != 0 ? errno : 0; }

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
  if (!read_loop(name, path, sizeof path, &info)) return 0;
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
