/*
 * sync: syncfs(2) and fsync(2) on WORKSPACE_FD, which has been open since the mount. The kernel reports a failed write
 * once, and only to a descriptor that was open before it.
 * shutdown TARGET: FS_IOC_SHUTDOWN with flag 0 (EXT4_GOING_FLAGS_DEFAULT): writes everything out and leaves the file
 * system clean. Every later write fails with EIO.
 */
#define _GNU_SOURCE
#include "helper.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

int cmd_sync(char **args) {
  (void)args;
  const char *failed = sync_mount(WORKSPACE_FD);
  return failed == NULL ? 0 : fail(failed, errno);
}

int cmd_shutdown(char **args) {
  uint32_t flush = 0;
  int fd = open(args[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return fail("open", errno);
  return ioctl(fd, IOC_SHUTDOWN, &flush) != 0 ? fail("ioctl", errno) : 0;
}
