/*
 * launch(spec, done) → job: starts a process on a thread of its own, see launch_thread.c. The addon closes the
 * descriptors of the spec, unless it throws. done(pid, pidfd, stage, errno, interpreter, startTicks) is called once;
 * stage is null after a successful exec.
 *
 * abandonLaunch(job): gives the launch up, and kills the child that it has started or still starts. done is called all
 * the same. Does nothing for a job that has finished.
 */
#define _GNU_SOURCE
#include "children.h"
#include "launch.h"
#include "napi_util.h"
#include "plan.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <uv.h>

struct job {
  struct gd_launch launch; /* first: a finished launch is cast back to its job */
  int id;
  napi_ref done;
  struct job *next; /* in running */
};

/* Event loop only; `async` is what the threads wake it by. */
static struct {
  napi_env env;
  uv_async_t async;
  bool ready;
  struct job *running;
  int next_id;
} loop = {.next_id = 1};

static void free_job(struct job *job) {
  gd_free_plan(&job->launch.plan);
  gd_free_list(job->launch.cgroup_writes);
  free(job->launch.cgroup_path);
  free(job->launch.interpreter);
  pthread_mutex_destroy(&job->launch.lock);
  free(job);
}

static void add_running(struct job *job) {
  /* The process stays alive while a launch runs. */
  if (loop.running == NULL) uv_ref((uv_handle_t *)&loop.async);
  job->next = loop.running;
  loop.running = job;
}

static void remove_running(struct job *job) {
  struct job **link = &loop.running;
  while (*link != job) link = &(*link)->next;
  *link = job->next;
  if (loop.running == NULL) uv_unref((uv_handle_t *)&loop.async);
}

static void report(struct job *job) {
  napi_env env = loop.env;
  const struct gd_launch *launch = &job->launch;
  const char *stage = launch->state.stage;
  if (stage == NULL && launch->abandoned) stage = "abandoned";
  napi_value argv[6] = {
      gd_number(env, launch->state.pid),
      gd_number(env, launch->state.pidfd),
      gd_string_or_null(env, stage),
      gd_errno_or_null(env, launch->state.error),
      gd_string_or_null(env, launch->interpreter),
      gd_number(env, launch->start_ticks),
  };
  gd_call(env, job->done, 6, argv);
  gd_drop_function(env, job->done);
}

static void wake_loop(void) { uv_async_send(&loop.async); }

static void on_finished(uv_async_t *async) {
  (void)async;
  struct gd_launch *launch = gd_launch_take_finished();
  while (launch != NULL) {
    struct job *job = (struct job *)launch;
    launch = launch->next;
    napi_handle_scope scope = gd_open_scope(loop.env);
    remove_running(job);
    report(job);
    gd_close_scope(loop.env, scope);
    free_job(job);
  }
}

/* A job is reported long before its number is used again. */
static int next_id(void) {
  int id = loop.next_id;
  loop.next_id = id == INT_MAX ? 1 : id + 1;
  return id;
}

/* False, with an exception pending: a command must not run without its cgroup, or with a part of its limits. */
static bool copy_cgroup(napi_env env, napi_value spec, struct gd_launch *launch) {
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

/* NULL, with an exception pending, when a part of the spec cannot be copied. */
static struct job *create_job(napi_env env, napi_value spec, napi_value done) {
  struct job *job = calloc(1, sizeof *job);
  int error = job == NULL ? ENOMEM : gd_launch_init(&job->launch);
  if (error != 0) {
    free(job);
    gd_throw_errno(env, "launch", error);
    return NULL;
  }
  if (gd_copy_plan(env, spec, &job->launch.plan) && copy_cgroup(env, spec, &job->launch) &&
      gd_keep_function(env, done, &job->done))
    return job;
  free_job(job);
  return NULL;
}

static napi_value launch(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  if (!gd_args(env, info, 2, argv)) return NULL;
  struct job *job = create_job(env, argv[0], argv[1]);
  if (job == NULL) return NULL;
  int id = job->id = next_id();
  int error = gd_launch_start(&job->launch);
  if (error != 0) {
    gd_drop_function(env, job->done);
    free_job(job);
    return gd_throw_errno(env, "pthread_create", error);
  }
  add_running(job);
  return gd_number(env, id);
}

bool gd_is_launching(pid_t pid) {
  for (struct job *job = loop.running; job != NULL; job = job->next)
    if (job->launch.state.pid == pid) return true;
  return false;
}

static napi_value abandon_launch(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  int id = 0;
  if (!gd_args(env, info, 1, argv) || !gd_int(env, argv[0], "job", 1, INT_MAX, &id)) return NULL;
  for (struct job *job = loop.running; job != NULL; job = job->next)
    if (job->id == id) gd_launch_abandon(&job->launch);
  return gd_undefined(env);
}

void gd_init_launch(napi_env env, napi_value exports) {
  uv_loop_t *uv = NULL;
  if (!loop.ready) {
    gd_must(napi_get_uv_event_loop(env, &uv), "napi_get_uv_event_loop");
    gd_must_uv(uv_async_init(uv, &loop.async, on_finished), "uv_async_init");
    uv_unref((uv_handle_t *)&loop.async);
    gd_launch_on_finished(wake_loop);
    loop.env = env;
    loop.ready = true;
  }
  gd_export(env, exports, "launch", launch);
  gd_export(env, exports, "abandonLaunch", abandon_launch);
}
