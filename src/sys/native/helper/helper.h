/* guestd-helper: the system calls that may hang on a dead disk, each in a process that can be given up. */
#ifndef GUESTD_HELPER_H
#define GUESTD_HELPER_H

/* Each takes the arguments after its name and returns 0, or fails with `fail`. */
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
int cmd_lock(char **args);
int cmd_usage(char **args);
int cmd_largest(char **args);
int cmd_stats(char **args);
int cmd_own(char **args);
int cmd_is_locked(char **args);
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

/* Takes the lock of an image file; -1 and errno EAGAIN: another has it. */
int lock_file(int fd);

/* Writes "CALL ERRNO text" to stderr, such as "mount EBUSY Device or resource busy"; returns 1. */
int fail(const char *call, int error);

/* Whether the folder is a lost+found that mke2fs or e2fsck made, and that root owns: users cannot make one. */
int is_lost_and_found(int folder);
/* What that folder takes in bytes; 0: it is gone, or cannot be found. Takes the root of the file system. */
long own_bytes(int root);

/* Whether a process runs as that user, by any of its ids. Where /proc cannot be read: yes. */
int user_runs(long uid);

/* A number in decimal; -1 where the text is none. */
long number(const char *text);

#endif
