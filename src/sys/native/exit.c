/*
 * watchExit(pid, pidfd, done): polls the pidfd on the event loop (pidfd_open(2): readable when the
 * process has terminated), reaps with wait4, closes the pidfd, and calls
 * done(exitCode | -1, signal | 0, cpuMicroseconds, maxRssKiB) once.
 *
 * sendSignal(pidfd, signal): pidfd_send_signal(2); a recycled pid can never be hit.
 *
 * exitNow(code): _exit(2), which waits for no thread: one may hang in a write to a stalled console.
 */
#define _GNU_SOURCE
#include "napi_util.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

struct exit_watch {
  uv_poll_t poll;
  napi_env env;
  napi_ref done;
  pid_t pid;
  int pidfd;
};

static void on_closed(uv_handle_t *handle) {
  struct exit_watch *watch = handle->data;
  close(watch->pidfd);
  free(watch);
}

static double microseconds(struct timeval time) {
  return (double)time.tv_sec * 1e6 + (double)time.tv_usec;
}

static void on_exit_readable(uv_poll_t *poll, int status, int events) {
  struct exit_watch *watch = poll->data;
  struct rusage usage = {0};
  int wait_status = 0;
  (void)status;
  (void)events;
  pid_t reaped = wait4(watch->pid, &wait_status, WNOHANG, &usage);
  if (reaped == 0 || (reaped < 0 && errno == EINTR)) return;
  uv_poll_stop(poll);

  napi_env env = watch->env;
  napi_handle_scope scope;
  napi_open_handle_scope(env, &scope);
  bool exited = reaped > 0 && WIFEXITED(wait_status);
  bool signaled = reaped > 0 && WIFSIGNALED(wait_status);
  napi_value argv[4] = {
      gd_number(env, exited ? WEXITSTATUS(wait_status) : -1),
      gd_number(env, signaled ? WTERMSIG(wait_status) : 0),
      gd_number(env, microseconds(usage.ru_utime) + microseconds(usage.ru_stime)),
      gd_number(env, (double)usage.ru_maxrss),
  };
  gd_call(env, watch->done, 4, argv);
  napi_delete_reference(env, watch->done);
  napi_close_handle_scope(env, scope);
  uv_close((uv_handle_t *)poll, on_closed);
}

static napi_value watch_exit(napi_env env, napi_callback_info info) {
  napi_value argv[3];
  uv_loop_t *loop = NULL;
  if (!gd_args(env, info, 3, argv)) return NULL;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok) return gd_throw_errno(env, "watchExit", EINVAL);
  struct exit_watch *watch = calloc(1, sizeof *watch);
  if (watch == NULL) return gd_throw_errno(env, "watchExit", ENOMEM);
  watch->env = env;
  watch->pid = gd_int(env, argv[0]);
  watch->pidfd = gd_int(env, argv[1]);
  watch->poll.data = watch;
  int error = uv_poll_init(loop, &watch->poll, watch->pidfd);
  if (error != 0) {
    free(watch);
    return gd_throw_errno(env, "uv_poll_init", -error);
  }
  napi_create_reference(env, argv[2], 1, &watch->done);
  uv_poll_start(&watch->poll, UV_READABLE, on_exit_readable);
  return gd_undefined(env);
}

static napi_value send_signal(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  if (!gd_args(env, info, 2, argv)) return NULL;
  long result = syscall(SYS_pidfd_send_signal, gd_int(env, argv[0]), gd_int(env, argv[1]), NULL, 0);
  return result == 0 ? gd_undefined(env) : gd_throw_errno(env, "pidfd_send_signal", errno);
}

/* openPidfd(pid): for a process that is not a child, to signal it without a race. */
static napi_value open_pidfd(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  if (!gd_args(env, info, 1, argv)) return NULL;
  long fd = syscall(SYS_pidfd_open, gd_int(env, argv[0]), 0);
  return fd >= 0 ? gd_number(env, (double)fd) : gd_throw_errno(env, "pidfd_open", errno);
}

static napi_value exit_now(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  if (!gd_args(env, info, 1, argv)) return NULL;
  _exit(gd_int(env, argv[0]));
}

void gd_init_exit(napi_env env, napi_value exports) {
  gd_export(env, exports, "watchExit", watch_exit);
  gd_export(env, exports, "sendSignal", send_signal);
  gd_export(env, exports, "openPidfd", open_pidfd);
  gd_export(env, exports, "exitNow", exit_now);
}
