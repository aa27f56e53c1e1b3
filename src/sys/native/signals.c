/*
 * ignoreSignals(numbers): the process ignores each of these signals from now on.
 *
 * It makes the system call itself, see kernel_signal.h. An installed handler of 32, 33 or SIGPROF stays: it belongs to
 * glibc, or to the profiler of V8.
 */
#define _GNU_SOURCE
#include "kernel_signal.h"
#include "napi_util.h"

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FIRST_OF_THREADS 32
#define LAST_OF_THREADS 33

static bool keeps_handler(int32_t number) {
  return number == SIGPROF || (number >= FIRST_OF_THREADS && number <= LAST_OF_THREADS);
}

/* 0, or an errno. */
static int ignore(int32_t number) {
  struct gd_kernel_sigaction action = {.handler = SIG_IGN};
  struct gd_kernel_sigaction before = {0};
  if (keeps_handler(number)) {
    if (syscall(SYS_rt_sigaction, number, NULL, &before, GD_SIGSET_BYTES) != 0) return errno;
    if (before.handler != SIG_DFL) return 0;
  }
  return syscall(SYS_rt_sigaction, number, &action, NULL, GD_SIGSET_BYTES) == 0 ? 0 : errno;
}

static napi_value ignore_signals(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  if (!gd_args(env, info, 1, argv)) return NULL;
  uint32_t count = 0;
  if (napi_get_array_length(env, argv[0], &count) != napi_ok) return gd_throw_errno(env, "ignoreSignals", EINVAL);
  for (uint32_t i = 0; i < count; i++) {
    int number = 0;
    if (!gd_int(env, gd_element(env, argv[0], i), "signal", 1, GD_LAST_SIGNAL, &number)) return NULL;
    int error = ignore(number);
    if (error != 0) return gd_throw_errno(env, "rt_sigaction", error);
  }
  return gd_undefined(env);
}

void gd_init_signals(napi_env env, napi_value exports) { gd_export(env, exports, "ignoreSignals", ignore_signals); }
