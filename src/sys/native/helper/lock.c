/* The lock of an image file: open file description locks (fcntl(2)) on the bytes that QEMU locks. */
#define _GNU_SOURCE
#include "../image_lock.h"
#include "helper.h"

int lock_file(int fd) {
  struct flock range = gd_image_lock;
  return fcntl(fd, F_OFD_SETLK, &range);
}
