/* What several commands share; see helper.h for the contracts. */
#define _GNU_SOURCE
#include "helper.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

int fail(const char *call, int error) {
  const char *name = strerrorname_np(error);
  fprintf(stderr, "%s %s %s\n", call, name == NULL ? "EUNKNOWN" : name, strerror(error));
  return 1;
}

bool parse_number(const char *text, long least, long most, long *number) {
  char *end = NULL;
  errno = 0;
  long value = strtol(text, &end, 10);
  if (errno != 0 || end == text || *end != '\0' || value < least || value > most) return false;
  *number = value;
  return true;
}

int write_all(const char *bytes, size_t length) {
  while (length > 0) {
    ssize_t written = write(STDOUT_FILENO, bytes, length);
    if (written < 0) return fail("write", errno);
    bytes += written;
    length -= (size_t)written;
  }
  return 0;
}

int open_direct(const char *path, int flags) {
  int fd = open(path, flags | O_CLOEXEC | O_DIRECT);
  return fd < 0 && errno == EINVAL ? open(path, flags | O_CLOEXEC) : fd;
}

const char *sync_mount(int fd) {
  if (syncfs(fd) != 0) return "syncfs";
  /* Some file systems, such as squashfs, do not support fsync of folders. */
  if (fsync(fd) != 0 && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP) return "fsync";
  return NULL;
}

bool read_loop(const char *name, char *path, size_t size, struct loop_info64 *info) {
  snprintf(path, size, "/dev/%.16s", name);
  int loop = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  /* The device may be gone, or not set up. */
  if (loop < 0) return false;
  bool is_set_up = ioctl(loop, LOOP_GET_STATUS64, info) == 0;
  close(loop);
  return is_set_up;
}

uint64_t now_ms(void) {
  struct timespec now = {0, 0};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}
