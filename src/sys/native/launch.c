/*
 * launch(spec, done) → job; abandonLaunch(job).
 *
 * A vfork holds its caller until exec, and a process of the command's user can stop the child in
 * between, so every launch has a thread of its own. The thread makes the cgroup, looks at the
 * working directory, clones, and hands the outcome to the event loop.
 */
#define _GNU_SOURCE
#include "children.h"
#include "clone.h"
#include "interpreter.h"
#include "napi_util.h"
#include "plan.h"
#include "proc_stat.h"
#include "threads.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

struct launch {
  struct gd_child_plan plan;
  struct gd_child_state state;
  double start_ticks;   /* of a child that runs: proc_stat.h; 0 where it is not known */
  char *interpreter;    /* missing, so that exec failed; or NULL */
  char *cgroup_path;    /* NULL without cgroups */
  char **cgroup_writes; /* of an even length: name, value, name, value, …, NULL: limits, written before the birth */
  pthread_mutex_t lock; /* guards abandoned and reaped */
  bool abandoned;
  bool reaped;
  int id;
  napi_ref done;
  struct launch *next;  /* in finished, then in nothing */
  struct launch *peer;  /* in running */
};

/* The one place where launch threads meet the event loop. */
static struct {
  napi_env env;
  uv_async_t async;
  bool ready;
  pthread_mutex_t lock; /* guards finished */
  struct launch *finished;
  struct launch *running; /* event loop only */
  int next_id;
} loop = {.lock = PTHREAD_MUTEX_INITIALIZER, .next_id = 1};

/* ---- the thread ---- */

static void set_failure(struct launch *launch, const char *stage, int error) {
  launch->state.error = error;
  launch->state.stage = stage;
}

/* Limits are written before the birth, so that the first instruction already lives under them. */
static bool prepare_cgroup(struct launch *launch) {
  if (launch->cgroup_path == NULL) return true;
  if (mkdir(launch->cgroup_path, 0755) != 0 && errno != EEXIST) {
    set_failure(launch, "cgroup", errno);
    return false;
  }
  int directory = open(launch->cgroup_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) {
    set_failure(launch, "cgroup", errno);
    return false;
  }
  launch->plan.cgroup_fd = directory;
  for (char **write_pair = launch->cgroup_writes; *write_pair != NULL; write_pair += 2) {
    int file = openat(directory, write_pair[0], O_WRONLY | O_CLOEXEC);
    size_t length = strlen(write_pair[1]);
    ssize_t written = file < 0 ? -1 : write(file, write_pair[1], length);
    int error = written < 0 ? errno : EIO;
    if (file >= 0) close(file);
    if (written == (ssize_t)length) continue;
    set_failure(launch, "limits", error);
    return false;
  }
  return true;
}

static bool check_directory(struct launch *launch) {
  struct stat facts;
  int error = stat(launch->plan.cwd, &facts) != 0 ? errno : S_ISDIR(facts.st_mode) ? 0 : ENOTDIR;
  /* Whether the user may enter it is the child's to find out. */
  if (error == 0 || error == EACCES) return true;
  set_failure(launch, "precheck", error);
  return false;
}

/*
 * The command's user becomes the owner of its pipes: to open /dev/stderr again asks for the rights of the pipe's
 * inode, and a pipe that guestd made belongs to root. Without CAP_CHOWN the command runs, and cannot do that.
 */
static bool give_pipes(struct launch *launch) {
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
 * The child died before its exec, or exec was given up on: only this thread knows of it. A tracer of the child can delay
 * its end, so the wait for it is without the lock, which the event loop takes too.
 */
static void reap(struct launch *launch) {
  siginfo_t ended;
  while (waitid(P_PID, (id_t)launch->state.pid, &ended, WEXITED | WNOWAIT) != 0 && errno == EINTR) continue;
  pthread_mutex_lock(&launch->lock);
  while (waitpid(launch->state.pid, NULL, 0) < 0 && errno == EINTR) continue;
  launch->reaped = true;
  pthread_mutex_unlock(&launch->lock);
}

static bool is_abandoned(struct launch *launch) {
  pthread_mutex_lock(&launch->lock);
  bool abandoned = launch->abandoned;
  pthread_mutex_unlock(&launch->lock);
  return abandoned;
}

static void clone_child(struct launch *launch) {
  if (is_abandoned(launch)) {
    /* Whoever gave up has looked for the cgroup before it was there. */
    if (launch->cgroup_path != NULL) rmdir(launch->cgroup_path);
    return;
  }
  int result = gd_clone_exec(&launch->plan, &launch->state);
  if (result < 0) {
    /* The kernel writes pid and pidfd early, and takes back only what they name. */
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
  /* It has not been waited for, so the pid is its own. */
  struct gd_proc_stat stat;
  if (gd_read_proc_stat(launch->state.pid, &stat)) launch->start_ticks = stat.start_ticks;
}

/* On this thread, as it reads files. */
static void explain_exec(struct launch *launch) {
  const char *stage = launch->state.stage;
  if (stage == NULL || strcmp(stage, "exec") != 0 || launch->state.error != ENOENT) return;
  launch->interpreter = gd_missing_interpreter(launch->plan.cwd, launch->plan.paths);
}

static void close_child_ends(struct launch *launch) {
  const int *stdio = launch->plan.stdio;
  for (int i = 0; i < 3; i++)
    if (stdio[i] >= 0 && (i < 2 || stdio[2] != stdio[1])) close(stdio[i]);
  if (launch->plan.cgroup_fd >= 0) close(launch->plan.cgroup_fd);
}

static void run_launch(void *argument) {
  struct launch *launch = argument;
  if (check_directory(launch) && give_pipes(launch) && prepare_cgroup(launch)) clone_child(launch);
  close_child_ends(launch);
  explain_exec(launch);
  pthread_mutex_lock(&loop.lock);
  launch->next = loop.finished;
  loop.finished = launch;
  uv_async_send(&loop.async);
  pthread_mutex_unlock(&loop.lock);
}

/* ---- the event loop ---- */

static void free_launch(struct launch *launch) {
  gd_free_plan(&launch->plan);
  gd_free_list(launch->cgroup_writes);
  free(launch->cgroup_path);
  free(launch->interpreter);
  pthread_mutex_destroy(&launch->lock);
  free(launch);
}

static void forget_running(struct launch *launch) {
  struct launch **place = &loop.running;
  while (*place != launch) place = &(*place)->peer;
  *place = launch->peer;
  if (loop.running == NULL) uv_unref((uv_handle_t *)&loop.async);
}

/* done(pid, pidfd, stage, errno, interpreter, startTicks): stage is null after a successful exec. */
static void report(struct launch *launch) {
  napi_value argv[6], null_value = NULL;
  napi_get_null(loop.env, &null_value);
  const char *stage = launch->state.stage;
  if (stage == NULL && launch->abandoned) stage = "abandoned";
  const char *name = launch->state.error != 0 ? strerrorname_np(launch->state.error) : NULL;
  argv[0] = gd_number(loop.env, launch->state.pid);
  argv[1] = gd_number(loop.env, launch->state.pidfd);
  argv[2] = stage != NULL ? gd_string(loop.env, stage) : null_value;
  argv[3] = name != NULL ? gd_string(loop.env, name) : null_value;
  argv[4] = launch->interpreter != NULL ? gd_string(loop.env, launch->interpreter) : null_value;
  argv[5] = gd_number(loop.env, launch->start_ticks);
  gd_call(loop.env, launch->done, 6, argv);
  napi_delete_reference(loop.env, launch->done);
}

static void on_finished(uv_async_t *async) {
  (void)async;
  pthread_mutex_lock(&loop.lock);
  struct launch *launch = loop.finished;
  loop.finished = NULL;
  pthread_mutex_unlock(&loop.lock);
  while (launch != NULL) {
    struct launch *next = launch->next;
    napi_handle_scope scope;
    napi_open_handle_scope(loop.env, &scope);
    forget_running(launch);
    report(launch);
    napi_close_handle_scope(loop.env, scope);
    free_launch(launch);
    launch = next;
  }
}

/* A launch is reported long before its number comes again. */
static int next_id(void) {
  int id = loop.next_id;
  loop.next_id = id == INT_MAX ? 1 : id + 1;
  return id;
}

/* A command without its cgroup, or with half of its limits, is not to run: false, with an exception pending. */
static bool copy_cgroup(napi_env env, napi_value spec, struct launch *launch) {
  napi_value path = gd_get(env, spec, "cgroupPath");
  napi_valuetype type = napi_undefined;
  launch->cgroup_writes = gd_copy_list(env, gd_get(env, spec, "cgroupWrites"), "cgroupWrites");
  if (launch->cgroup_writes == NULL) return false;
  size_t count = 0;
  while (launch->cgroup_writes[count] != NULL) count++;
  if (count % 2 != 0 || path == NULL || napi_typeof(env, path, &type) != napi_ok) {
    gd_throw_errno(env, "launch", EINVAL);
    return false;
  }
  if (type == napi_null) return true;
  launch->cgroup_path = gd_copy_string(env, path, "cgroupPath");
  return launch->cgroup_path != NULL;
}

/* NULL, with an exception pending, where not all of the spec can be copied. */
static struct launch *create_launch(napi_env env, napi_value spec, napi_value done) {
  struct launch *launch = calloc(1, sizeof *launch);
  if (launch == NULL) {
    gd_throw_errno(env, "launch", ENOMEM);
    return NULL;
  }
  pthread_mutex_init(&launch->lock, NULL);
  launch->state.pidfd = -1;
  if (gd_copy_plan(env, spec, &launch->plan) && copy_cgroup(env, spec, launch) &&
      gd_keep_function(env, done, &launch->done))
    return launch;
  free_launch(launch);
  return NULL;
}

static napi_value launch(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  if (!gd_args(env, info, 2, argv)) return NULL;
  struct launch *launch = create_launch(env, argv[0], argv[1]);
  if (launch == NULL) return NULL;
  launch->id = next_id();
  int id = launch->id;
  int error = gd_run_on_thread(run_launch, launch);
  if (error != 0) {
    napi_delete_reference(env, launch->done);
    free_launch(launch);
    return gd_throw_errno(env, "pthread_create", error);
  }
  if (loop.running == NULL) uv_ref((uv_handle_t *)&loop.async);
  launch->peer = loop.running;
  loop.running = launch;
  return gd_number(env, id);
}

bool gd_is_launching(pid_t pid) {
  for (struct launch *launch = loop.running; launch != NULL; launch = launch->peer)
    if (launch->state.pid == pid) return true;
  return false;
}

/* abandonLaunch(job): the launch is given up; whatever it still brings to life is killed. */
static napi_value abandon_launch(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  int id = 0;
  if (!gd_args(env, info, 1, argv) || !gd_int(env, argv[0], "job", 1, INT_MAX, &id)) return NULL;
  for (struct launch *launch = loop.running; launch != NULL; launch = launch->peer) {
    if (launch->id != id) continue;
    pthread_mutex_lock(&launch->lock);
    launch->abandoned = true;
    if (launch->state.pid > 0 && !launch->reaped) kill(launch->state.pid, SIGKILL);
    pthread_mutex_unlock(&launch->lock);
  }
  return gd_undefined(env);
}

void gd_init_launch(napi_env env, napi_value exports) {
  uv_loop_t *uv = NULL;
  if (!loop.ready && napi_get_uv_event_loop(env, &uv) == napi_ok) {
    loop.env = env;
    if (uv_async_init(uv, &loop.async, on_finished) != 0) return;
    uv_unref((uv_handle_t *)&loop.async);
    loop.ready = true;
  }
  gd_export(env, exports, "launch", launch);
  gd_export(env, exports, "abandonLaunch", abandon_launch);
}
