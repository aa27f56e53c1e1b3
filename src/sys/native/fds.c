/*
 * pipe(bytes) → [read, write]: a pipe with about that capacity (pipe(7)), close-on-exec.
 * lockFile(fd): takes an exclusive flock(2) without waiting. False when another process has it.
 * nofileLimit() → [soft, hard]: RLIMIT_NOFILE of this process.
 */
#define _GNU_SOURCE
#include "napi_util.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <unistd.h>

/* Largest capacity that can be asked for; 0 is the kernel's default. */
#define MAX_PIPE_BYTES (64 * 1024 * 1024)

static napi_value pair(napi_env env, double first, double second) {
  napi_value result = NULL;
  gd_must(napi_create_array_with_length(env, 2, &result), "napi_create_array_with_length");
  gd_must(napi_set_element(env, result, 0, gd_number(env, first)), "napi_set_element");
  gd_must(napi_set_element(env, result, 1, gd_number(env, second)), "napi_set_element");
  return result;
}

static napi_value make_pipe(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  int fds[2], bytes = 0;
  if (!gd_args(env, info, 1, argv) || !gd_int(env, argv[0], "bytes", 0, MAX_PIPE_BYTES, &bytes)) return NULL;
  if (pipe2(fds, O_CLOEXEC) != 0) return gd_throw_errno(env, "pipe2", errno);
  /* It may fail: a user over pipe-user-pages-soft keeps the default capacity, which is slower but works. */
  if (bytes > 0) fcntl(fds[1], F_SETPIPE_SZ, bytes);
  return pair(env, fds[0], fds[1]);
}

static napi_value lock_file(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  int fd = -1;
  if (!gd_args(env, info, 1, argv) || !gd_fd(env, argv[0], &fd)) return NULL;
  bool locked = flock(fd, LOCK_EX | LOCK_NB) == 0;
  if (!locked && errno != EWOULDBLOCK) return gd_throw_errno(env, "flock", errno);
  return gd_boolean(env, locked);
}

static napi_value nofile_limit(napi_env env, napi_callback_info info) {
  struct rlimit limit;
  (void)info;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return gd_throw_errno(env, "getrlimit", errno);
  return pair(env, (double)limit.rlim_cur, (double)limit.rlim_max);
}

void gd_init_fds(napi_env env, napi_value exports) {
  gd_export(env, exports, "pipe", make_pipe);
  gd_export(env, exports, "lockFile", lock_file);
  gd_export(env, exports, "nofileLimit", nofile_limit);
}
