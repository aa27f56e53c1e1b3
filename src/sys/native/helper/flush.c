/*
 * sync: syncfs(2) on descriptor 3, which has been open since the mount: a failed write is told once,
 * and only to a descriptor that was open before it. Then fsync(2) on the same one: after ext4 has turned itself
 * read-only, or was shut down, Linux 6.1 writes nothing in syncfs and returns 0, but fsync fails. It has nothing left
 * to write.
 * shutdown TARGET: FS_IOC_SHUTDOWN with flag 0, which writes all out, leaves the file system clean,
 * and lets every later write fail with EIO (EXT4_GOING_FLAGS_DEFAULT).
 */
#define _GNU_SOURCE
#include "helper.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { HELD_FD = 3 };
/* Of the kernel's fs/ext4/ext4.h and xfs_fs.h; the headers for programs do not have it. */
#define IOC_SHUTDOWN _IOR('X', 125, uint32_t)

int cmd_sync(char **args) {
  (void)args;
  if (syncfs(HELD_FD) != 0) return fail("syncfs", errno);
  /* Some file systems, such as squashfs, have no fsync for folders. */
  if (fsync(HELD_FD) != 0 && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
    return fail("fsync", errno);
  return 0;
}

int cmd_shutdown(char **args) {
  uint32_t write_all_out = 0;
  int fd = open(args[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return fail("open", errno);
  return ioctl(fd, IOC_SHUTDOWN, &write_all_out) != 0 ? fail("ioctl", errno) : 0;
}
