/*
 * The child between clone3 and exec; see clone.h for the contracts.
 *
 * It shares the daemon's memory, so it makes raw system calls only: glibc's wrappers write errno,
 * and its setuid functions apply to the threads of the parent (nptl(7)).
 */
#define _GNU_SOURCE
#include "clone.h"
#include "kernel_signal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#ifndef __x86_64__
#error "gd_clone3_call is written for x86_64"
#endif

/* Bytes of stack for the child: a few frames, no libc. */
#define CHILD_STACK_BYTES (32 * 1024)
#define UMASK 022

struct child_context {
  const struct gd_child_plan *plan;
  struct gd_child_state *state;
};

static inline long raw6(long n, long a, long b, long c, long d, long e) {
  long result;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
                   : "rcx", "r11", "memory");
  return result;
}
#define raw(n, a, b, c, d) raw6((n), (long)(a), (long)(b), (long)(c), (long)(d), 0)

/* The child starts on its own stack in `enter`, which must not return. */
static long gd_clone3_call(struct clone_args *args, size_t size, void (*enter)(void *), void *arg) {
  long result;
  register void (*child_enter)(void *) __asm__("r12") = enter;
  register void *child_arg __asm__("r13") = arg;
  __asm__ volatile(
      "syscall\n\t"
      "test %%rax, %%rax\n\t"
      "jnz 1f\n\t"
      "xor %%ebp, %%ebp\n\t"
      "mov %%r13, %%rdi\n\t"
      "call *%%r12\n\t"
      "hlt\n"
      "1:"
      : "=a"(result)
      : "a"((long)SYS_clone3), "D"(args), "S"(size), "r"(child_enter), "r"(child_arg)
      : "rcx", "r11", "memory");
  return result;
}

static void fail(struct child_context *context, const char *stage, long result) {
  context->state->error = (int)-result;
  context->state->stage = stage;
  for (;;) raw(SYS_exit, 127, 0, 0, 0);
}

#define check(stage, call)                                    \
  do {                                                        \
    long check_result = (call);                               \
    if (check_result < 0) fail(context, stage, check_result); \
  } while (0)

static void reset_signals(void) {
  struct gd_kernel_sigaction action = {0};
  /* SIGKILL and SIGSTOP fail with EINVAL; they cannot have a handler. */
  for (int signal = 1; signal <= GD_LAST_SIGNAL; signal++) raw(SYS_rt_sigaction, signal, &action, 0, GD_SIGSET_BYTES);
}

/* Best effort: without the permission to set the score the child runs with that of the daemon. */
static void set_oom_score(const char *text) {
  long fd = raw(SYS_open, "/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC, 0, 0);
  if (fd < 0) return;
  size_t length = 0;
  while (text[length] != '\0') length++;
  raw(SYS_write, fd, text, length, 0);
  raw(SYS_close, fd, 0, 0, 0);
}

static void set_stdio(struct child_context *context, const int *stdio) {
  long in = stdio[0];
  if (in < 0) check("stdin", in = raw(SYS_open, "/dev/null", O_RDONLY, 0, 0));
  check("stdin", raw(SYS_dup2, in, 0, 0, 0));
  check("stdout", raw(SYS_dup2, stdio[1], 1, 0, 0));
  check("stderr", raw(SYS_dup2, stdio[2], 2, 0, 0));
  check("fds", raw(SYS_close_range, 3, ~0U, 0, 0));
}

static void set_limits(struct child_context *context, const struct gd_child_plan *plan) {
  struct rlimit64 nofile = {.rlim_cur = plan->nofile_soft, .rlim_max = plan->nofile_hard};
  check("limits", raw(SYS_prlimit64, 0, RLIMIT_NOFILE, &nofile, 0));
}

static void set_user(struct child_context *context, const struct gd_child_plan *plan) {
  if (!plan->switch_user) return;
  check("user", raw(SYS_setgroups, plan->group_count, plan->groups, 0, 0));
  check("user", raw(SYS_setresgid, plan->gid, plan->gid, plan->gid, 0));
  check("user", raw(SYS_setresuid, plan->uid, plan->uid, plan->uid, 0));
}

/* As execvp(3): a candidate that is missing or not executable is skipped; EACCES is reported at the end. */
static void exec(struct child_context *context, const struct gd_child_plan *plan) {
  long result = -ENOENT;
  bool denied = false;
  for (char *const *path = plan->paths; *path != 0; path++) {
    result = raw(SYS_execve, *path, plan->argv, plan->envp, 0);
    if (result == -EACCES) denied = true;
    else if (result != -ENOENT && result != -ENOTDIR) break;
  }
  if (denied && (result == -ENOENT || result == -ENOTDIR)) result = -EACCES;
  fail(context, "exec", result);
}

__attribute__((no_sanitize("address"))) static void child(void *argument) {
  struct child_context *context = argument;
  const struct gd_child_plan *plan = context->plan;
  const uint64_t none = 0;
  check("setsid", raw(SYS_setsid, 0, 0, 0, 0));
  reset_signals();
  set_oom_score(plan->oom_score_adj);
  set_stdio(context, plan->stdio);
  set_limits(context, plan);
  raw(SYS_umask, UMASK, 0, 0, 0);
  set_user(context, plan);
  check("chdir", raw(SYS_chdir, plan->cwd, 0, 0, 0));
  raw(SYS_rt_sigprocmask, SIG_SETMASK, &none, 0, GD_SIGSET_BYTES);
  exec(context, plan);
}

int gd_clone_exec(const struct gd_child_plan *plan, struct gd_child_state *state) {
  _Alignas(16) unsigned char stack[CHILD_STACK_BYTES];
  struct child_context context = {.plan = plan, .state = state};
  struct clone_args args = {
      .flags =
          CLONE_VM | CLONE_VFORK | CLONE_PIDFD | CLONE_PARENT_SETTID | (plan->cgroup_fd >= 0 ? CLONE_INTO_CGROUP : 0),
      .pidfd = (uint64_t)(uintptr_t)&state->pidfd,
      .parent_tid = (uint64_t)(uintptr_t)&state->pid,
      .exit_signal = SIGCHLD,
      .stack = (uint64_t)(uintptr_t)stack,
      .stack_size = sizeof stack,
      .cgroup = plan->cgroup_fd >= 0 ? (uint64_t)plan->cgroup_fd : 0,
  };
  long result = gd_clone3_call(&args, sizeof args, child, &context);
  return result < 0 ? (int)result : 0;
}
