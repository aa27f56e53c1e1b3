/*
 * attach FILE: attaches an image file to a loop device and prints its path, such as "/dev/loop3". The lock of the file
 * (lock.c) lasts as long as the device, because the kernel keeps the open file description. EAGAIN: another process
 * has the lock, and no device is attached.
 * loops FILE: prints the loop devices of a file, found by device and inode, one on each line: "guestd /dev/loop3" for a
 * device that `attach` has made, "ending /dev/loop3" when that is detached but still open in a process, and
 * "other /dev/loop4" for the rest.
 * detach DEVICE: detaches the loop device.
 */
#define _GNU_SOURCE
#include "helper.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Another program can take a free loop device before it is configured. */
enum { ATTEMPTS = 16 };

/* Prefix of lo_file_name of a device that `attach` has made. */
static const char mark[] = "guestd ";

/* LOOP_CONFIGURE: Linux 5.8 and later. */
static int configure(int loop, int file, const char *path) {
  struct loop_config config = {.fd = (uint32_t)file};
  snprintf((char *)config.info.lo_file_name, LO_NAME_SIZE, "%s%s", mark, path);
  return ioctl(loop, LOOP_CONFIGURE, &config);
}

int cmd_attach(char **args) {
  int file = open(args[0], O_RDWR | O_CLOEXEC);
  if (file < 0) return fail("open", errno);
  if (lock_file(file) != 0) return fail("fcntl", errno);
  int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
  if (control < 0) return fail("open", errno);
  for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
    char device[32];
    int index = ioctl(control, LOOP_CTL_GET_FREE);
    if (index < 0) return fail("ioctl", errno);
    snprintf(device, sizeof device, "/dev/loop%d", index);
    int loop = open(device, O_RDWR | O_CLOEXEC);
    if (loop < 0) return fail("open", errno);
    if (configure(loop, file, args[0]) == 0) return printf("%s\n", device) < 0 ? fail("write", EIO) : 0;
    if (errno != EBUSY) return fail("ioctl", errno);
    close(loop);
  }
  return fail("ioctl", EBUSY);
}

static int print_loop(const char *name, const struct stat *file) {
  struct loop_info64 info;
  char path[32];
  if (!read_loop(name, path, sizeof path, &info)) return 0;
  if (info.lo_device != file->st_dev || info.lo_inode != file->st_ino) return 0;
  bool is_ours = strncmp((const char *)info.lo_file_name, mark, strlen(mark)) == 0;
  /* A detach takes effect when the last process closes the device. */
  bool is_ending = (info.lo_flags & LO_FLAGS_AUTOCLEAR) != 0;
  const char *kind = !is_ours ? "other" : is_ending ? "ending" : "guestd";
  return printf("%s %s\n", kind, path) < 0 ? fail("write", EIO) : 0;
}

int cmd_loops(char **args) {
  struct stat file;
  int failed = 0;
  if (stat(args[0], &file) != 0) return fail("stat", errno);
  DIR *devices = opendir("/sys/class/block");
  if (devices == NULL) return fail("opendir", errno);
  for (struct dirent *entry; !failed && (entry = readdir(devices)) != NULL;)
    if (strncmp(entry->d_name, "loop", 4) == 0) failed = print_loop(entry->d_name, &file);
  closedir(devices);
  return failed;
}

int cmd_detach(char **args) {
  int loop = open(args[0], O_RDWR | O_CLOEXEC);
  if (loop < 0) return fail("open", errno);
  return ioctl(loop, LOOP_CLR_FD) != 0 ? fail("ioctl", errno) : 0;
}
