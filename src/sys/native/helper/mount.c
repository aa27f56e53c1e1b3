/*
 * mount DEVICE TARGET UID GID: mounts the ext4 of a device that is not in use, and removes its lost+found when that is
 * empty. Makes the user the owner of the root folder when it is fresh: it contains at most a lost+found; -1 keeps the
 * owner. Prints "fresh" or "used", and the size of lost+found (see `own`).
 * remount DEVICE TARGET: mounts a device again that another mount namespace has mounted.
 * probe TARGET: fails when no file can be created: EIO after the file system was shut down. Leaves no file behind. It
 * adds the flags below to a mount that lacks them, as one of an older guestd does.
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

/* Device files, setuid files and file capabilities have no effect: another machine may have made them. */
enum { FLAGS = MS_NODEV | MS_NOSUID | MS_NOATIME };
/* The kernel makes a broken file system read-only. */
static const char options[] = "errors=remount-ro";

static const char lost_and_found[] = "lost+found";

/* For uid and gid: chown(2) leaves it as it is. */
enum { KEEP_OWNER = -1 };

/* A user can give this name to any file. */
static bool has_lost_and_found(int root) {
  int folder = openat(root, lost_and_found, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (folder < 0) return false;
  bool is_it = is_lost_and_found(folder);
  close(folder);
  return is_it;
}

/* Users cannot read it, so programs that read all of the workspace fail. e2fsck creates it again when it needs it. */
static void remove_lost_and_found(int root) {
  /* It stays when it is not empty, or when the file system is read-only. */
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

static int assign_root(const char *target, long uid, long gid) {
  int failed = 0;
  DIR *root = opendir(target);
  if (root == NULL) return fail("opendir", errno);
  remove_lost_and_found(dirfd(root));
  bool fresh = is_fresh(root);
  if (fresh && uid != KEEP_OWNER && fchown(dirfd(root), (uid_t)uid, (gid_t)gid) != 0) failed = fail("chown", errno);
  printf("%s %ld\n", fresh ? "fresh" : "used", lost_and_found_bytes(dirfd(root)));
  closedir(root);
  return failed;
}

int cmd_mount(char **args) {
  const char *device = args[0], *target = args[1];
  long uid = KEEP_OWNER, gid = KEEP_OWNER;
  if (!parse_number(args[2], KEEP_OWNER, MAX_ID, &uid) || !parse_number(args[3], KEEP_OWNER, MAX_ID, &gid))
    return fail("usage", EINVAL);
  /* mount(2) does not fail when another mount namespace has mounted the device. */
  int fd = open(device, O_RDWR | O_EXCL | O_CLOEXEC);
  if (fd < 0) return fail("open", errno);
  close(fd);
  if (mount(device, target, "ext4", FLAGS, options) != 0) return fail("mount", errno);
  int failed = assign_root(target, uid, gid);
  if (failed) umount2(target, UMOUNT_NOFOLLOW);
  return failed;
}

int cmd_remount(char **args) { return mount(args[0], args[1], "ext4", FLAGS, NULL) != 0 ? fail("mount", errno) : 0; }

/* Keeps noexec, if the mount has it. */
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
  /* A full file system works. */
  if (fd < 0 && errno != ENOSPC && errno != EDQUOT) return fail("open", errno);
  return add_flags(args[0]);
}

int cmd_unmount(char **args) { return umount2(args[0], UMOUNT_NOFOLLOW) != 0 ? fail("umount", errno) : 0; }
