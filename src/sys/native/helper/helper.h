/* guestd-helper: system calls that may hang on a dead disk, each in a process that guestd can abandon. */
#ifndef GUESTD_HELPER_H
#define GUESTD_HELPER_H

#include <linux/loop.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The descriptor of the workspace that guestd passes to `sync` and `trim`. */
enum { WORKSPACE_FD = 3 };

/* Unit of st_blocks and stx_blocks: stat(2), statx(2). */
enum { STAT_BLOCK_BYTES = 512 };

/* FS_IOC_SHUTDOWN of the kernel's fs/ext4/ext4.h; the headers for programs do not have it. */
#define IOC_SHUTDOWN _IOR('X', 125, uint32_t)

/* The largest uid and gid: (uid_t)-1 means "leave as it is" to the kernel. */
#define MAX_ID (UINT32_MAX - 1L)

/* Each takes the arguments after its name and returns the exit code; it reports an error with `fail`. */
int cmd_read_head(char **args);
int cmd_read_tail(char **args);
int cmd_open_exclusive(char **args);
int cmd_mount(char **args);
int cmd_remount(char **args);
int cmd_probe(char **args);
int cmd_unmount(char **args);
int cmd_sync(char **args);
int cmd_shutdown(char **args);
int cmd_trim(char **args);
int cmd_read_mark(char **args);
int cmd_write_mark(char **args);
int cmd_usage(char **args);
int cmd_largest(char **args);
int cmd_stats(char **args);
int cmd_own(char **args);
int cmd_power(char **args);
int cmd_attach(char **args);
int cmd_detach(char **args);
int cmd_loops(char **args);
int cmd_release(char **args);
int cmd_drain(char **args);
int cmd_backed(char **args);
int cmd_enter(char **args);
int cmd_ipc(char **args);
int cmd_clear(char **args);

/* Writes "CALL ERRNO text" to stderr, such as "mount EBUSY Device or resource busy"; returns 1. */
int fail(const char *call, int error);

/* Reads a decimal number. False, with *number unchanged, for other text and for a number out of the range. */
bool parse_number(const char *text, long least, long most, long *number);

/* Writes all bytes to standard output. Returns 0, or fails with `fail`. */
int write_all(const char *bytes, size_t length);

/* Opens a file or device past the page cache (O_DIRECT, open(2)) where its file system allows it; tmpfs does not. */
int open_direct(const char *path, int flags);

/*
 * syncfs(2), and fsync(2) on the same descriptor: after ext4 has turned itself read-only, or was shut down, Linux 6.1
 * writes nothing in syncfs and returns 0, but fsync fails. Returns NULL, or the call that has failed, with errno.
 */
const char *sync_mount(int fd);

/* Reads what a loop device such as "loop3" is set up for, and its path. False when it is not set up. */
bool read_loop(const char *name, char *path, size_t size, struct loop_info64 *info);

/* Milliseconds of CLOCK_MONOTONIC. */
uint64_t now_ms(void);

/* Takes the lock of an image file. Returns -1, with errno EAGAIN, when another process has it. */
int lock_file(int fd);

/* Whether the folder is a lost+found that mke2fs or e2fsck has made, and that belongs to root. Users cannot make one. */
bool is_lost_and_found(int folder);

/* Size of the lost+found of a file system in bytes; 0 when it is gone or cannot be found. `root` is the root folder. */
long lost_and_found_bytes(int root);

/* Whether a process runs as that user, by any of its ids. True when /proc cannot be read. */
bool user_runs(long uid);

#endif
