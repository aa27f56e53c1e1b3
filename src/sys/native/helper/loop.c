/*
 * attach FILE: makes a loop device of an image file and prints its path, such as "/dev/loop3".
 * detach DEVICE: takes the loop device apart.
 */
#define _GNU_SOURCE
#include "helper.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Others take free loop devices too: between asking for one and having it, it may be gone. */
enum { ATTEMPTS = 16 };

/* LOOP_CONFIGURE: Linux 5.8 and later. */
static int configure(int loop, int file, const char *path) {
  struct loop_config config = {.fd = (uint32_t)file};
  snprintf((char *)config.info.lo_file_name, LO_NAME_SIZE, "%s", path);
  return ioctl(loop, LOOP_CONFIGURE, &config);
}

int cmd_attach(char **args) {
  int file = open(args[0], O_RDWR | O_CLOEXEC);
  if (file < 0) return fail("open", errno);
  int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
  if (control < 0) return fail("open", errno);
  for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
    char device[32];
    int index = ioctl(control, LOOP_CTL_GET_FREE);
    if (index < 0) return fail("ioctl", errno);
    snprintf(device, sizeof device, "/dev/loop%d", index);
    int loop = open(device, O_RDWR | O_CLOEXEC);
    if (loop < 0) return fail("open", errno);
    if (configure(loop, file, args[0]) == 0) return printf("%s\n", device) < 0 ? 1 : 0;
    if (errno != EBUSY) return fail("ioctl", errno);
    close(loop);
  }
  return fail("ioctl", EBUSY);
}

int cmd_detach(char **args) {
  int loop = open(args[0], O_RDWR | O_CLOEXEC);
  if (loop < 0) return fail("open", errno);
  return ioctl(loop, LOOP_CLR_FD) != 0 ? fail("ioctl", errno) : 0;
}
