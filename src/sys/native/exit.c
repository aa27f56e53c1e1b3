/*
 * watchExit(pid, pidfd, done): polls the pidfd on the event loop (pidfd_open(2): readable when the
 * process has terminated), reaps with wait4, closes the pidfd, and calls
 * done(exitCode | -1, signal | 0, cpuMicroseconds, maxRssKiB) once. It owns the pidfd, unless it throws.
 *
 * A process that is traced, by another than guestd, can only be reaped once its tracer has waited for it or is
 * gone. Until then wait4 returns 0 though the pidfd is readable. After TRACED_LIMIT_MS the facts come from
 * /proc/PID/stat, maxRssKiB is 0, and the zombie is left to reapOrphans.
 *
 * sendSignal(pidfd, signal): pidfd_send_signal(2); a recycled pid can never be hit.
 *
 * exitNow(code): _exit(2), which waits for no thread: one may hang in a write to a stalled console.
 */
#define _GNU_SOURCE
#include "children.h"
#include "napi_util.h"
#include "proc_stat.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

/* First pause before another wait4, in milliseconds; each one is twice the one before, up to the longest. */
#define FIRST_PAUSE_MS 5
#define LONGEST_PAUSE_MS 1000

/* Far above what a tracer such as strace or gdb takes to wait. */
#define TRACED_LIMIT_MS 300

/* The kernel's largest signal number. */
#define LAST_SIGNAL 64

struct exit_watch {
  uv_poll_t poll;
  uv_timer_t timer; /* only of a process that is traced */
  bool has_timer;
  uint64_t pause_ms;
  uint64_t waited_ms;
  int open_handles;
  napi_env env;
  napi_ref done;
  pid_t pid;
  int pidfd;
  struct exit_watch *next;
};

/* Those whose process is not reaped yet. */
static struct exit_watch *watches;

bool gd_is_watched(pid_t pid) {
  for (struct exit_watch *watch = watches; watch != NULL; watch = watch->next)
    if (watch->pid == pid) return true;
  return false;
}

static void forget(struct exit_watch *watch) {
  struct exit_watch **place = &watches;
  while (*place != watch) place = &(*place)->next;
  *place = watch->next;
}

static void on_closed(uv_handle_t *handle) {
  struct exit_watch *watch = handle->data;
  watch->open_handles -= 1;
  if (watch->open_handles > 0) return;
  close(watch->pidfd);
  free(watch);
}

static void close_handles(struct exit_watch *watch) {
  watch->open_handles = watch->has_timer ? 2 : 1;
  uv_close((uv_handle_t *)&watch->poll, on_closed);
  if (watch->has_timer) uv_close((uv_handle_t *)&watch->timer, on_closed);
}

static double microseconds(struct timeval time) {
  return (double)time.tv_sec * 1e6 + (double)time.tv_usec;
}

/* Both status and usage are of a process that has ended; status < 0 where that is not known. */
static void report(struct exit_watch *watch, int status, double cpu_microseconds, double max_rss_kib) {
  napi_env env = watch->env;
  napi_handle_scope scope;
  forget(watch);
  uv_poll_stop(&watch->poll);
  napi_open_handle_scope(env, &scope);
  bool exited = status >= 0 && WIFEXITED(status);
  bool signaled = status >= 0 && WIFSIGNALED(status);
  napi_value argv[4] = {
      gd_number(env, exited ? WEXITSTATUS(status) : -1),
      gd_number(env, signaled ? WTERMSIG(status) : 0),
      gd_number(env, cpu_microseconds),
      gd_number(env, max_rss_kib),
  };
  gd_call(env, watch->done, 4, argv);
  napi_delete_reference(env, watch->done);
  napi_close_handle_scope(env, scope);
  close_handles(watch);
}

/* False: it is traced, and its tracer has not waited for it. */
static bool reap(struct exit_watch *watch) {
  struct rusage usage = {0};
  int status = 0;
  pid_t reaped;
  do reaped = wait4(watch->pid, &status, WNOHANG, &usage);
  while (reaped < 0 && errno == EINTR);
  if (reaped == 0) return false;
  report(watch, reaped > 0 ? status : -1, microseconds(usage.ru_utime) + microseconds(usage.ru_stime),
         (double)usage.ru_maxrss);
  return true;
}

/* It cannot be another process of that pid: a zombie keeps its pid until it is reaped. */
static bool report_unreaped(struct exit_watch *watch) {
  struct gd_proc_stat stat;
  if (!gd_read_proc_stat(watch->pid, &stat) || stat.state != 'Z') return false;
  report(watch, stat.exit_status, stat.cpu_microseconds, 0);
  return true;
}

static void on_timer(uv_timer_t *timer) {
  struct exit_watch *watch = timer->data;
  watch->waited_ms += watch->pause_ms;
  if (reap(watch)) return;
  if (watch->waited_ms >= TRACED_LIMIT_MS && report_unreaped(watch)) return;
  watch->pause_ms = watch->pause_ms * 2 < LONGEST_PAUSE_MS ? watch->pause_ms * 2 : LONGEST_PAUSE_MS;
  uv_timer_start(timer, on_timer, watch->pause_ms, 0);
}

static void on_exit_readable(uv_poll_t *poll, int status, int events) {
  struct exit_watch *watch = poll->data;
  (void)status;
  (void)events;
  if (reap(watch)) return;
  /* The pidfd stays readable: to poll it on would spin. */
  uv_poll_stop(poll);
  uv_timer_init(poll->loop, &watch->timer);
  watch->timer.data = watch;
  watch->has_timer = true;
  watch->pause_ms = FIRST_PAUSE_MS;
  uv_timer_start(&watch->timer, on_timer, watch->pause_ms, 0);
}

/* 0, or a libuv error: then nothing of the watch is left but its memory. */
static int start_watch(napi_env env, struct exit_watch *watch) {
  uv_loop_t *loop = NULL;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok) return UV_EINVAL;
  int error = uv_poll_init(loop, &watch->poll, watch->pidfd);
  if (error != 0) return error;
  watch->poll.data = watch;
  /* It cannot fail: the handle is not closing. */
  uv_poll_start(&watch->poll, UV_READABLE, on_exit_readable);
  watch->next = watches;
  watches = watch;
  return 0;
}

static napi_value watch_exit(napi_env env, napi_callback_info info) {
  napi_value argv[3];
  int pidfd = -1;
  pid_t pid = 0;
  if (!gd_args(env, info, 3, argv) || !gd_fd(env, argv[1], &pidfd)) return NULL;
  struct exit_watch *watch = calloc(1, sizeof *watch);
  int error = watch == NULL ? UV_ENOMEM : 0;
  bool is_valid = watch != NULL && gd_pid(env, argv[0], &pid) && gd_keep_function(env, argv[2], &watch->done);
  if (is_valid) {
    watch->env = env;
    watch->pid = pid;
    watch->pidfd = pidfd;
    error = start_watch(env, watch);
    if (error == 0) return gd_undefined(env);
    napi_delete_reference(env, watch->done);
  }
  free(watch);
  return error != 0 ? gd_throw_errno(env, "watchExit", -error) : NULL;
}

static napi_value send_signal(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  int pidfd = -1, number = 0;
  if (!gd_args(env, info, 2, argv) || !gd_fd(env, argv[0], &pidfd)) return NULL;
  if (!gd_int(env, argv[1], "signal", 0, LAST_SIGNAL, &number)) return NULL;
  long result = syscall(SYS_pidfd_send_signal, pidfd, number, NULL, 0);
  return result == 0 ? gd_undefined(env) : gd_throw_errno(env, "pidfd_send_signal", errno);
}

/* openPidfd(pid): for a process that is not a child, to signal it without a race. */
static napi_value open_pidfd(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  pid_t pid = 0;
  if (!gd_args(env, info, 1, argv) || !gd_pid(env, argv[0], &pid)) return NULL;
  long fd = syscall(SYS_pidfd_open, pid, 0);
  return fd >= 0 ? gd_number(env, (double)fd) : gd_throw_errno(env, "pidfd_open", errno);
}

static napi_value exit_now(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  int code = 0;
  if (!gd_args(env, info, 1, argv) || !gd_int(env, argv[0], "code", 0, UCHAR_MAX, &code)) return NULL;
  _exit(code);
}

void gd_init_exit(napi_env env, napi_value exports) {
  gd_export(env, exports, "watchExit", watch_exit);
  gd_export(env, exports, "sendSignal", send_signal);
  gd_export(env, exports, "openPidfd", open_pidfd);
  gd_export(env, exports, "exitNow", exit_now);
}
