/*
 * own TARGET: prints the size of the lost+found that mke2fs has made, in bytes. It is found by its inode, the first that
 * is not reserved, because users can rename it and move it. 0: it is gone, or cannot be found.
 */
#define _GNU_SOURCE
#include "helper.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* EXT4_GOOD_OLD_FIRST_INO: mke2fs gives it to the folder lost+found. */
enum { LOST_AND_FOUND_INODE = 11 };
/* The kernel's FILEID_INO32_GEN: an inode and its generation; 0 stands for any generation. */
enum { INO32_GEN = 1 };
/* mke2fs gives it 16 KiB. This bounds the size of another folder of root that has the inode now. */
enum { MAX_BYTES = 64 * 1024 };

bool is_lost_and_found(int folder) {
  struct stat facts;
  /* The kernel writes an int, despite the type in the request. It gives each folder that it creates a random generation. */
  int generation[2] = {-1, 0};
  return fstat(folder, &facts) == 0 && S_ISDIR(facts.st_mode) && facts.st_uid == 0 &&
         ioctl(folder, FS_IOC_GETVERSION, generation) == 0 && generation[0] == 0;
}

long lost_and_found_bytes(int root) {
  union {
    struct file_handle handle;
    char bytes[sizeof(struct file_handle) + sizeof(uint32_t[2])];
  } inode = {.handle = {.handle_bytes = sizeof(uint32_t[2]), .handle_type = INO32_GEN}};
  const uint32_t of[2] = {LOST_AND_FOUND_INODE, 0};
  memcpy(inode.handle.f_handle, of, sizeof of);
  struct stat facts;
  /* O_DIRECTORY: a file or device that has this inode now is not opened. */
  int fd = open_by_handle_at(root, &inode.handle, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return 0;
  bool is_it = is_lost_and_found(fd) && fstat(fd, &facts) == 0;
  long bytes = is_it ? (long)facts.st_blocks * STAT_BLOCK_BYTES : 0;
  close(fd);
  return bytes > MAX_BYTES ? MAX_BYTES : bytes;
}

int cmd_own(char **args) {
  int root = open(args[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (root < 0) return fail("open", errno);
  return printf("%ld\n", lost_and_found_bytes(root)) < 0 ? fail("write", EIO) : 0;
}
