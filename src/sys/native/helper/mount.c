/*
 * mount DEVICE TARGET UID GID: mounts the ext4 of a device that is not in use, removes the lost+found of mke2fs or
 * e2fsck where it is empty, and gives the root folder of a fresh one (nothing in it but a lost+found of them) to the
 * user; -1 leaves its owner. Prints "fresh" for such a one, else "used", and what lost+found takes (see `own`).
 * remount DEVICE TARGET: mounts it once more while another mount namespace has it.
 * probe TARGET: whether files can be made: a file system that was shut down says EIO. Leaves nothing. A mount
 * without the flags below gets them, as of a guestd before an upgrade.
 * unmount TARGET: umount2(2), without following a symbolic link.
 */
#define _GNU_SOURCE
#include "helper.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/*
 * The content of a volume is data: neither its device files nor its setuid files and file capabilities count, as
 * another machine may have made them.
 */
enum { FLAGS = MS_NODEV | MS_NOSUID | MS_NOATIME };
/* A file system found broken is not written to any more. */
static const char options[] = "errors=remount-ro";

static const char lost_and_found[] = "lost+found";

/* A user may give the name to anything. */
static bool has_lost_and_found(int root) {
  int folder = openat(root, lost_and_found, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (folder < 0) return false;
  bool is_it = is_lost_and_found(folder);
  close(folder);
  return is_it;
}

/* Users cannot read it, which fails programs that read all of the workspace. e2fsck makes it again when it needs it. */
static void remove_lost_and_found(int root) {
  /* One that is not empty, or a file system that cannot be written, stays as it is. */
  if (has_lost_and_found(root)) unlinkat(root, lost_and_found, AT_REMOVEDIR);
}

static bool is_fresh(DIR *root) {
  for (struct dirent *entry; (entry = readdir(root)) != NULL;) {
    const char *name = entry->d_name;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) continue;
    if (strcmp(name, lost_and_found) != 0 || !has_lost_and_found(dirfd(root))) return false;
  }
  return true;
}

static int hand_over(const char *target, long uid, long gid) {
  int failed = 0;
  DIR *root = opendir(target);
  if (root == NULL) return fail("opendir", errno);
  remove_lost_and_found(dirfd(root));
  bool fresh = is_fresh(root);
  if (fresh && uid >= 0 && fchown(dirfd(root), (uid_t)uid, (gid_t)gid) != 0)
    failed = fail("chown", errno);
  printf("%s %ld\n", fresh ? "fresh" : "used", own_bytes(dirfd(root)));
  closedir(root);
  return failed;
}

int cmd_mount(char **args) {
  const char *device = args[0], *target = args[1];
  /* A mount of what another mount namespace has mounted would share it instead of being refused. */
  int fd = open(device, O_RDWR | O_EXCL | O_CLOEXEC);
  if (fd < 0) return fail("open", errno);
  close(fd);
  if (mount(device, target, "ext4", FLAGS, options) != 0) return fail("mount", errno);
  int failed = hand_over(target, number(args[2]), number(args[3]));
  if (failed) umount2(target, UMOUNT_NOFOLLOW);
  return failed;
}

int cmd_remount(char **args) {
  return mount(args[0], args[1], "ext4", FLAGS, NULL) != 0 ? fail("mount", errno) : 0;
}

/* What else the mount has been given, such as noexec, stays. */
static int add_flags(const char *target) {
  struct statvfs facts;
  if (statvfs(target, &facts) != 0) return fail("statvfs", errno);
  if ((facts.f_flag & ST_NODEV) != 0 && (facts.f_flag & ST_NOSUID) != 0) return 0;
  unsigned long flags = MS_REMOUNT | MS_BIND | FLAGS;
  if ((facts.f_flag & ST_NOEXEC) != 0) flags |= MS_NOEXEC;
  return mount(NULL, target, NULL, flags, NULL) != 0 ? fail("mount", errno) : 0;
}

int cmd_probe(char **args) {
  int fd = open(args[0], O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  /* A full one is well. */
  if (fd < 0 && errno != ENOSPC && errno != EDQUOT) return fail("open", errno);
  return add_flags(args[0]);
}

int cmd_unmount(char **args) {
  return umount2(args[0], UMOUNT_NOFOLLOW) != 0 ? fail("umount", errno) : 0;
}
