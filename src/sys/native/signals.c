/*
 * ignoreSignals(numbers): the process ignores each of these signals from now on.
 *
 * By the system call itself: glibc refuses 32 and 33, which it keeps for its threads. Of those two, and of SIGPROF,
 * a handler that is installed stays: those of glibc, and that of V8's profiler, which may also be installed later.
 */
#define _GNU_SOURCE
#include "napi_util.h"

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#define KERNEL_SIGSET_BYTES 8
#define FIRST_OF_THREADS 32
#define LAST_OF_THREADS 33
#define LAST_SIGNAL 64

/* The kernel's struct sigaction on x86_64; glibc's has another layout. */
struct kernel_sigaction {
  void (*handler)(int);
  unsigned long flags;
  void *restorer;
  uint64_t mask;
};

static bool keeps_handler(int32_t number) {
  return number == SIGPROF || (number >= FIRST_OF_THREADS && number <= LAST_OF_THREADS);
}

/* 0, or an errno. */
static int ignore(int32_t number) {
  struct kernel_sigaction action = {.handler = SIG_IGN};
  struct kernel_sigaction before = {0};
  if (keeps_handler(number)) {
    if (syscall(SYS_rt_sigaction, number, NULL, &before, KERNEL_SIGSET_BYTES) != 0) return errno;
    if (before.handler != SIG_DFL) return 0;
  }
  return syscall(SYS_rt_sigaction, number, &action, NULL, KERNEL_SIGSET_BYTES) == 0 ? 0 : errno;
}

static napi_value ignore_signals(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  if (!gd_args(env, info, 1, argv)) return NULL;
  uint32_t count = 0;
  if (napi_get_array_length(env, argv[0], &count) != napi_ok)
    return gd_throw_errno(env, "ignoreSignals", EINVAL);
  for (uint32_t i = 0; i < count; i++) {
    napi_value item;
    int number = 0;
    if (napi_get_element(env, argv[0], i, &item) != napi_ok)
      return gd_throw_errno(env, "ignoreSignals", EINVAL);
    if (!gd_int(env, item, "signal", 1, LAST_SIGNAL, &number)) return NULL;
    int error = ignore(number);
    if (error != 0) return gd_throw_errno(env, "rt_sigaction", error);
  }
  return gd_undefined(env);
}

void gd_init_signals(napi_env env, napi_value exports) {
  gd_export(env, exports, "ignoreSignals", ignore_signals);
}
