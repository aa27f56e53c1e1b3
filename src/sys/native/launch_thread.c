/*
 * The thread of a launch. It creates the cgroup, checks the working directory, clones, and hands the outcome over.
 *
 * A vfork blocks its caller until exec, and a process of the command's user can stop the child in between. So each
 * launch has a thread of its own, never the event loop.
 */
#define _GNU_SOURCE
#include "interpreter.h"
#include "launch.h"
#include "proc_stat.h"
#include "threads.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Where the launch threads meet the event loop. */
static struct {
  pthread_mutex_t lock; /* guards first */
  struct gd_launch *first;
  void (*wake)(void);
} finished = {.lock = PTHREAD_MUTEX_INITIALIZER};

int gd_launch_init(struct gd_launch *launch) {
  launch->state.pidfd = -1;
  launch->plan.cgroup_fd = -1;
  return pthread_mutex_init(&launch->lock, NULL);
}

void gd_launch_on_finished(void (*wake)(void)) { finished.wake = wake; }

struct gd_launch *gd_launch_take_finished(void) {
  pthread_mutex_lock(&finished.lock);
  struct gd_launch *first = finished.first;
  finished.first = NULL;
  pthread_mutex_unlock(&finished.lock);
  return first;
}

void gd_launch_abandon(struct gd_launch *launch) {
  pthread_mutex_lock(&launch->lock);
  launch->abandoned = true;
  if (launch->state.pid > 0 && !launch->reaped) kill(launch->state.pid, SIGKILL);
  pthread_mutex_unlock(&launch->lock);
}

static void set_failure(struct gd_launch *launch, const char *stage, int error) {
  launch->state.error = error;
  launch->state.stage = stage;
}

/* 0, or an errno. */
static int write_limit(int directory, const char *name, const char *value) {
  int file = openat(directory, name, O_WRONLY | O_CLOEXEC);
  if (file < 0) return errno;
  ssize_t length = (ssize_t)strlen(value);
  ssize_t written = write(file, value, (size_t)length);
  int error = written < 0 ? errno : EIO;
  close(file);
  return written == length ? 0 : error;
}

/* The limits are written before the child starts, so that they apply to its first instruction. */
static bool prepare_cgroup(struct gd_launch *launch) {
  if (launch->cgroup_path == NULL) return true;
  int directory = -1;
  if (mkdir(launch->cgroup_path, 0755) == 0 || errno == EEXIST)
    directory = open(launch->cgroup_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) {
    set_failure(launch, "cgroup", errno);
    return false;
  }
  launch->plan.cgroup_fd = directory;
  for (char **limit = launch->cgroup_writes; *limit != NULL; limit += 2) {
    int error = write_limit(directory, limit[0], limit[1]);
    if (error == 0) continue;
    set_failure(launch, "limits", error);
    return false;
  }
  return true;
}

static bool check_directory(struct gd_launch *launch) {
  struct stat facts;
  int error = stat(launch->plan.cwd, &facts) != 0 ? errno : S_ISDIR(facts.st_mode) ? 0 : ENOTDIR;
  /* The child finds out whether its user may enter it. */
  if (error == 0 || error == EACCES) return true;
  set_failure(launch, "precheck", error);
  return false;
}

/*
 * Makes the command's user the owner of its pipes. A command that opens /dev/stderr needs permission on the inode of
 * the pipe, which otherwise belongs to root. Without CAP_CHOWN the command runs, but cannot open it.
 */
static bool give_pipes(struct gd_launch *launch) {
  static const char *const stages[3] = {"stdin", "stdout", "stderr"};
  const struct gd_child_plan *plan = &launch->plan;
  if (!plan->switch_user) return true;
  for (int i = 0; i < 3; i++) {
    if (plan->stdio[i] < 0) continue;
    if (fchown(plan->stdio[i], plan->uid, plan->gid) == 0 || errno == EPERM) continue;
    set_failure(launch, stages[i], errno);
    return false;
  }
  return true;
}

/*
 * Waits for a child that died before exec, or that was abandoned: only this thread knows its pid. A tracer can delay the
 * end of the child, so the thread waits without the lock, which the event loop takes too.
 */
static void reap(struct gd_launch *launch) {
  siginfo_t ended;
  while (waitid(P_PID, (id_t)launch->state.pid, &ended, WEXITED | WNOWAIT) != 0 && errno == EINTR) continue;
  pthread_mutex_lock(&launch->lock);
  while (waitpid(launch->state.pid, NULL, 0) < 0 && errno == EINTR) continue;
  launch->reaped = true;
  pthread_mutex_unlock(&launch->lock);
}

static bool is_abandoned(struct gd_launch *launch) {
  pthread_mutex_lock(&launch->lock);
  bool abandoned = launch->abandoned;
  pthread_mutex_unlock(&launch->lock);
  return abandoned;
}

static void clone_child(struct gd_launch *launch) {
  if (is_abandoned(launch)) {
    /* The event loop may have removed the cgroup before this thread created it. */
    if (launch->cgroup_path != NULL) rmdir(launch->cgroup_path);
    return;
  }
  int result = gd_clone_exec(&launch->plan, &launch->state);
  if (result < 0) {
    /* The kernel writes both before it can still fail, and does not reset them. */
    launch->state.pid = 0;
    launch->state.pidfd = -1;
    set_failure(launch, "clone", -result);
    return;
  }
  bool abandoned = is_abandoned(launch);
  if (abandoned) kill(launch->state.pid, SIGKILL);
  if (abandoned || launch->state.stage != NULL) {
    reap(launch);
    close(launch->state.pidfd);
    launch->state.pidfd = -1;
    return;
  }
  /* Nothing has waited for the child, so the pid cannot name another process. */
  struct gd_proc_stat stat;
  if (gd_read_proc_stat(launch->state.pid, &stat)) launch->start_ticks = stat.start_ticks;
}

/* On this thread, because it reads files. Without memory the interpreter stays unknown: exec has failed anyway. */
static void explain_exec(struct gd_launch *launch) {
  const char *stage = launch->state.stage;
  if (stage == NULL || strcmp(stage, "exec") != 0 || launch->state.error != ENOENT) return;
  launch->interpreter = gd_missing_interpreter(launch->plan.cwd, launch->plan.paths);
}

static void close_child_ends(struct gd_launch *launch) {
  const int *stdio = launch->plan.stdio;
  for (int i = 0; i < 3; i++)
    if (stdio[i] >= 0 && (i < 2 || stdio[2] != stdio[1])) close(stdio[i]);
  if (launch->plan.cgroup_fd >= 0) close(launch->plan.cgroup_fd);
}

static void hand_over(struct gd_launch *launch) {
  pthread_mutex_lock(&finished.lock);
  launch->next = finished.first;
  finished.first = launch;
  pthread_mutex_unlock(&finished.lock);
  /* The event loop may have freed the launch by now. */
  finished.wake();
}

static void run_launch(void *argument) {
  struct gd_launch *launch = argument;
  if (check_directory(launch) && give_pipes(launch) && prepare_cgroup(launch)) clone_child(launch);
  close_child_ends(launch);
  explain_exec(launch);
  hand_over(launch);
}

int gd_launch_start(struct gd_launch *launch) { return gd_run_on_thread(run_launch, launch); }
