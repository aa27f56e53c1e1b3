/*
 * reapOrphans(): from now on, reaps children that guestd has not started.
 *
 * A command can create such children with clone(CLONE_PARENT), and PID 1 of a namespace becomes the parent of every
 * orphan in it. Each would stay a zombie, and occupy a pid, until guestd exits.
 *
 * A timer searches for them. SIGCHLD would wake the loop for each child, and a command can create thousands a second.
 */
#define _GNU_SOURCE
#include "children.h"
#include "napi_util.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <uv.h>

/* Interval of the search for zombies, in milliseconds. */
#define IDLE_MS 1000

/* Pause between two batches, and the first pause after a zombie that has an owner; in milliseconds. */
#define BUSY_MS 10

/*
 * Longest batch, in nanoseconds: a tenth of BUSY_MS. A limit on the number of zombies would not bound the time: each
 * search walks through all children, which takes some microseconds for each thousand.
 */
#define BATCH_NS 1000000

static struct {
  uv_timer_t timer;
  bool is_started;
  uint64_t pause_ms;
} orphans;

struct search {
  pid_t pid;
  bool found;
};

static void compare(uv_handle_t *handle, void *argument) {
  struct search *search = argument;
  if (handle->type != UV_PROCESS) return;
  if (uv_process_get_pid((uv_process_t *)handle) == search->pid) search->found = true;
}

/* libuv waits for the processes of node:child_process itself, by pid. */
static bool is_spawned(uv_loop_t *loop, pid_t pid) {
  struct search search = {.pid = pid, .found = false};
  uv_walk(loop, compare, &search);
  return search.found;
}

static bool has_owner(uv_loop_t *loop, pid_t pid) {
  return gd_is_launching(pid) || gd_is_watched(pid) || is_spawned(loop, pid);
}

/* Returns the first child that has exited and is not reaped, or 0. __WALL includes children that send no SIGCHLD. */
static pid_t find_zombie(void) {
  siginfo_t info = {0};
  while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) != 0)
    if (errno != EINTR) return 0;
  return info.si_pid;
}

/* Only this thread reaps children without an owner, so the pid still names the same process. */
static void reap(pid_t pid) {
  while (waitpid(pid, NULL, WNOHANG | __WALL) < 0 && errno == EINTR) continue;
}

static void on_timer(uv_timer_t *timer) {
  uint64_t pause = IDLE_MS;
  uint64_t until = uv_hrtime() + BATCH_NS;
  while (uv_hrtime() < until) {
    pid_t pid = find_zombie();
    if (pid == 0) break;
    if (!has_owner(timer->loop, pid)) {
      reap(pid);
      pause = BUSY_MS;
      continue;
    }
    /* waitid finds no other zombie before this one is reaped. Its owner usually does that soon. */
    pause = orphans.pause_ms < IDLE_MS ? orphans.pause_ms * 2 : BUSY_MS;
    if (pause > IDLE_MS) pause = IDLE_MS;
    break;
  }
  orphans.pause_ms = pause;
  gd_must_uv(uv_timer_start(timer, on_timer, pause, 0), "uv_timer_start");
}

static napi_value reap_orphans(napi_env env, napi_callback_info info) {
  uv_loop_t *loop = NULL;
  (void)info;
  if (orphans.is_started) return gd_undefined(env);
  if (napi_get_uv_event_loop(env, &loop) != napi_ok) return gd_throw_errno(env, "reapOrphans", EINVAL);
  int error = uv_timer_init(loop, &orphans.timer);
  if (error == 0) error = uv_timer_start(&orphans.timer, on_timer, IDLE_MS, 0);
  if (error != 0) return gd_throw_errno(env, "uv_timer_start", -error);
  orphans.is_started = true;
  orphans.pause_ms = IDLE_MS;
  /* The timer does not keep the process alive. */
  uv_unref((uv_handle_t *)&orphans.timer);
  return gd_undefined(env);
}

void gd_init_orphans(napi_env env, napi_value exports) { gd_export(env, exports, "reapOrphans", reap_orphans); }
