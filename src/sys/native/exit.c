/*
 * watchExit(pid, pidfd, done): polls the pidfd on the event loop (pidfd_open(2): it is readable when the process has
 * terminated), reaps with wait4, closes the pidfd, and calls done(exitCode | -1, signal | 0, cpuMicroseconds, maxRssKiB)
 * once. It owns the pidfd, unless it throws.
 *
 * A process that another process traces can only be reaped after its tracer has waited for it or has exited. Until then
 * wait4 returns 0 although the pidfd is readable. After TRACED_LIMIT_MS the values come from /proc/PID/stat, maxRssKiB
 * is 0, and reapOrphans reaps the zombie later.
 *
 * sendSignal(pidfd, signal): pidfd_send_signal(2). It cannot hit another process that has the same pid later.
 *
 * openPidfd(pid) → pidfd of any process, to signal it without a race.
 *
 * exitNow(code): _exit(2). It waits for no thread: one may be blocked in a write to a stalled console.
 */
#define _GNU_SOURCE
#include "children.h"
#include "kernel_signal.h"
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

/* Pauses between two calls of wait4, in milliseconds. Each is twice the one before, up to the longest. */
#define FIRST_PAUSE_MS 5
#define LONGEST_PAUSE_MS 1000

/* A tracer such as strace or gdb waits much earlier. */
#define TRACED_LIMIT_MS 300

struct exit_watch {
  uv_poll_t poll;
  uv_timer_t timer; /* only for a traced process */
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

/* The watches whose process is not reaped yet. */
static struct exit_watch *watches;

bool gd_is_watched(pid_t pid) {
  for (struct exit_watch *watch = watches; watch != NULL; watch = watch->next)
    if (watch->pid == pid) return true;
  return false;
}

static void forget(struct exit_watch *watch) {
  struct exit_watch **link = &watches;
  while (*link != watch) link = &(*link)->next;
  *link = watch->next;
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

static double microseconds(struct timeval time) { return (double)time.tv_sec * 1e6 + (double)time.tv_usec; }

/* Reports the end of the process; status < 0 when it is not known. */
static void report(struct exit_watch *watch, int status, double cpu_microseconds, double max_rss_kib) {
  napi_env env = watch->env;
  forget(watch);
  uv_poll_stop(&watch->poll);
  napi_handle_scope scope = gd_open_scope(env);
  bool exited = status >= 0 && WIFEXITED(status);
  bool signaled = status >= 0 && WIFSIGNALED(status);
  napi_value argv[4] = {
      gd_number(env, exited ? WEXITSTATUS(status) : -1),
      gd_number(env, signaled ? WTERMSIG(status) : 0),
      gd_number(env, cpu_microseconds),
      gd_number(env, max_rss_kib),
  };
  gd_call(env, watch->done, 4, argv);
  gd_drop_function(env, watch->done);
  gd_close_scope(env, scope);
  close_handles(watch);
}

/* False when the process is traced, and its tracer has not waited for it. */
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

/* Reads the facts of the zombie. It keeps its pid until it is reaped, so they cannot be of another process. */
static bool report_unreaped(struct exit_watch *watch) {
  struct gd_proc_stat stat;
  if (!gd_read_proc_stat(watch->pid, &stat) || stat.state != 'Z') return false;
  report(watch, stat.exit_status, stat.cpu_microseconds, 0);
  return true;
}

static void start_timer(struct exit_watch *watch);

static void on_timer(uv_timer_t *timer) {
  struct exit_watch *watch = timer->data;
  watch->waited_ms += watch->pause_ms;
  if (reap(watch)) return;
  if (watch->waited_ms >= TRACED_LIMIT_MS && report_unreaped(watch)) return;
  watch->pause_ms = watch->pause_ms * 2 < LONGEST_PAUSE_MS ? watch->pause_ms * 2 : LONGEST_PAUSE_MS;
  start_timer(watch);
}

static void start_timer(struct exit_watch *watch) {
  gd_must_uv(uv_timer_start(&watch->timer, on_timer, watch->pause_ms, 0), "uv_timer_start");
}

static void on_exit_readable(uv_poll_t *poll, int status, int events) {
  struct exit_watch *watch = poll->data;
  (void)status;
  (void)events;
  if (reap(watch)) return;
  /* The pidfd stays readable: polling it again would spin. */
  uv_poll_stop(poll);
  gd_must_uv(uv_timer_init(poll->loop, &watch->timer), "uv_timer_init");
  watch->timer.data = watch;
  watch->has_timer = true;
  watch->pause_ms = FIRST_PAUSE_MS;
  start_timer(watch);
}

/* 0, or a libuv error: then only the memory of the watch is left. */
static int start_watch(napi_env env, struct exit_watch *watch) {
  uv_loop_t *loop = NULL;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok) return UV_EINVAL;
  int error = uv_poll_init(loop, &watch->poll, watch->pidfd);
  if (error != 0) return error;
  watch->poll.data = watch;
  gd_must_uv(uv_poll_start(&watch->poll, UV_READABLE, on_exit_readable), "uv_poll_start");
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
    gd_drop_function(env, watch->done);
  }
  free(watch);
  return error != 0 ? gd_throw_errno(env, "watchExit", -error) : NULL;
}

static napi_value send_signal(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  int pidfd = -1, number = 0;
  if (!gd_args(env, info, 2, argv) || !gd_fd(env, argv[0], &pidfd)) return NULL;
  if (!gd_int(env, argv[1], "signal", 0, GD_LAST_SIGNAL, &number)) return NULL;
  long result = syscall(SYS_pidfd_send_signal, pidfd, number, NULL, 0);
  return result == 0 ? gd_undefined(env) : gd_throw_errno(env, "pidfd_send_signal", errno);
}

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
