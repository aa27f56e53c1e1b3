/* Starts a child: clone3, its set-up, exec. No Node-API in here. */
#ifndef GUESTD_CLONE_H
#define GUESTD_CLONE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* What the child does. It is prepared before the clone, because the child must not allocate. */
struct gd_child_plan {
  char *const *argv;
  char *const *envp;
  char *const *paths; /* candidates for exec, NULL-terminated; tried in turn, as execvp(3) does */
  const char *cwd;
  const char *oom_score_adj; /* decimal text */
  int stdio[3];              /* all above 2; stdio[0] is -1 for /dev/null; stdio[1] and stdio[2] may be the same */
  int cgroup_fd;             /* directory of the cgroup to start in, or -1 */
  bool switch_user;
  uid_t uid;
  gid_t gid;
  const gid_t *groups;
  size_t group_count;
  unsigned long long nofile_soft; /* RLIMIT_NOFILE */
  unsigned long long nofile_hard;
};

/* Written by the kernel and the child; read by the thread of the launch and, while the thread is blocked, by the event loop. */
struct gd_child_state {
  _Atomic pid_t pid; /* set by the kernel before the child runs */
  _Atomic int pidfd;
  const char *_Atomic stage; /* the step that failed, or NULL */
  _Atomic int error;
};

/*
 * clone3(2) with CLONE_VM|CLONE_VFORK|CLONE_PIDFD and, given a cgroup, CLONE_INTO_CGROUP. Returns when the child has
 * called exec or has died: 0, or a negative errno of clone3 itself. The calling thread must block all signals. It is
 * blocked itself until then, so it must not be the event loop.
 */
int gd_clone_exec(const struct gd_child_plan *plan, struct gd_child_state *state);

#endif
