/* The bytes of an image file that QEMU locks, shared by the addon and the helper. */
#ifndef GD_IMAGE_LOCK_H
#define GD_IMAGE_LOCK_H

#include <fcntl.h>
#include <unistd.h>

/* RAW_LOCK_PERM_BASE and RAW_LOCK_SHARED_BASE of QEMU's block/file-posix.c: 100 and 200, up to 64 each. */
static const struct flock gd_image_lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 100, .l_len = 164};

#endif
