/*
 * pipe(bytes) → [read, write]: a pipe with about that capacity (pipe(7)), close-on-exec.
 * lockFile(fd): takes an exclusive flock(2) without waiting. False when another process has it.
 * lockImage(fd): takes the lock of an image file (image_lock.h), until all duplicates of the descriptor are closed.
 * False when another open file description has it.
 * isImageLocked(fd): whether another open file description has the lock. Takes none.
 * nofileLimit() → [soft, hard]: RLIMIT_NOFILE of this process.
 */
#define _GNU_SOURCE
#include "image_lock.h"
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

static napi_value lock_image(napi_env env, napi_callback_info info) {
  struct flock range = gd_image_lock;
  napi_value argv[1];
  int fd = -1;
  if (!gd_args(env, info, 1, argv) || !gd_fd(env, argv[0], &fd)) return NULL;
  bool locked = fcntl(fd, F_OFD_SETLK, &range) == 0;
  if (!locked && errno != EAGAIN && errno != EACCES) return gd_throw_errno(env, "fcntl", errno);
  return gd_boolean(env, locked);
}

static napi_value is_image_locked(napi_env env, napi_callback_info info) {
  struct flock range = gd_image_lock;
  napi_value argv[1];
  int fd = -1;
  if (!gd_args(env, info, 1, argv) || !gd_fd(env, argv[0], &fd)) return NULL;
  if (fcntl(fd, F_OFD_GETLK, &range) != 0) return gd_throw_errno(env, "fcntl", errno);
  return gd_boolean(env, range.l_type != F_UNLCK);
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
  gd_export(env, exports, "lockImage", lock_image);
  gd_export(env, exports, "isImageLocked", is_image_locked);
  gd_export(env, exports, "nofileLimit", nofile_limit);
}
