/*
 * readPipe(fd, buffer, read) → reader: reads a pipe on the event loop, and owns its descriptor. For each read it calls
 * buffer(), which returns a Uint8Array, fills it, and calls read(length); nothing else runs in between. read(-1) is the
 * last call: every write end is closed, reading has failed, or closePipe was called.
 *
 * pausePipe(reader, paused): stops and starts reading. While it is paused nothing is read.
 * closePipe(reader): closes the read end; read(-1) follows.
 * pendingBytes(reader) → number of bytes in the pipe now (FIONREAD).
 * drainPipe(reader, bytes) → number of bytes that it has read: at most `bytes`, at once, also while it is paused, by the
 * same calls of buffer and read. When the pipe is at its end then, it calls read(-1) too.
 */
#define _GNU_SOURCE
#include "napi_util.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <uv.h>

struct reader {
  uv_pipe_t pipe;
  napi_env env;
  napi_ref buffer;
  napi_ref read;
  bool has_ended;   /* read(-1) was called */
  bool is_closed;   /* the loop does not use it any more */
  bool is_released; /* JavaScript does not use it any more */
};

static void free_unused(struct reader *reader) {
  if (reader->is_closed && reader->is_released) free(reader);
}

static void call_read(struct reader *reader, ssize_t length) {
  if (reader->has_ended) return;
  reader->has_ended = length < 0;
  napi_handle_scope scope = gd_open_scope(reader->env);
  napi_value argv[1] = {gd_number(reader->env, (double)length)};
  gd_call(reader->env, reader->read, 1, argv);
  gd_close_scope(reader->env, scope);
}

static void on_closed(uv_handle_t *handle) {
  struct reader *reader = handle->data;
  call_read(reader, -1);
  gd_drop_function(reader->env, reader->buffer);
  gd_drop_function(reader->env, reader->read);
  reader->is_closed = true;
  free_unused(reader);
}

static void close_pipe(struct reader *reader) {
  uv_handle_t *handle = (uv_handle_t *)&reader->pipe;
  if (!reader->is_closed && !uv_is_closing(handle)) uv_close(handle, on_closed);
}

/* When buffer() throws, the exception is reported as uncaught, and the read fails with UV_ENOBUFS. */
static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *into) {
  struct reader *reader = handle->data;
  napi_env env = reader->env;
  napi_value buffer = NULL, callee = NULL, global = NULL, thrown = NULL;
  void *data = NULL;
  size_t length = 0;
  (void)suggested;
  napi_handle_scope scope = gd_open_scope(env);
  gd_must(napi_get_reference_value(env, reader->buffer, &callee), "napi_get_reference_value");
  gd_must(napi_get_global(env, &global), "napi_get_global");
  if (napi_call_function(env, global, callee, 0, NULL, &buffer) == napi_ok) {
    /* Not a buffer, or a buffer larger than libuv accepts: the read fails with UV_ENOBUFS. */
    if (napi_get_typedarray_info(env, buffer, NULL, &length, &data, NULL, NULL) != napi_ok || length > INT_MAX)
      length = 0;
  } else if (napi_get_and_clear_last_exception(env, &thrown) == napi_ok) napi_fatal_exception(env, thrown);
  /* JavaScript keeps the buffer until read(), and the memory of an ArrayBuffer does not move. */
  *into = uv_buf_init(data, (unsigned int)length);
  gd_close_scope(env, scope);
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer) {
  struct reader *reader = stream->data;
  (void)buffer;
  /* 0: nothing to read yet. */
  if (length == 0) return;
  call_read(reader, length < 0 ? -1 : length);
  if (length < 0) close_pipe(reader);
}

static void on_free(napi_env env, void *data, void *hint) {
  struct reader *reader = data;
  (void)env;
  (void)hint;
  reader->is_released = true;
  free_unused(reader);
}

/* 0, or a libuv error. */
static int start_reading(struct reader *reader) {
  return uv_read_start((uv_stream_t *)&reader->pipe, on_alloc, on_read);
}

/* 0, or a libuv error. Takes the descriptor; the initialised handle is to be closed in both cases. */
static int open_pipe(struct reader *reader, int fd) {
  int error = uv_pipe_open(&reader->pipe, fd);
  if (error == 0) return start_reading(reader);
  close(fd);
  return error;
}

/* Keeps the functions and initialises the handle. False, with an exception pending: then only its memory is left. */
static bool init_reader(napi_env env, struct reader *reader, napi_value buffer, napi_value read) {
  uv_loop_t *loop = NULL;
  reader->env = env;
  reader->pipe.data = reader;
  if (!gd_keep_function(env, buffer, &reader->buffer)) return false;
  if (gd_keep_function(env, read, &reader->read)) {
    if (napi_get_uv_event_loop(env, &loop) == napi_ok && uv_pipe_init(loop, &reader->pipe, 0) == 0) return true;
    gd_throw_errno(env, "readPipe", EINVAL);
    gd_drop_function(env, reader->read);
  }
  gd_drop_function(env, reader->buffer);
  return false;
}

static napi_value read_pipe(napi_env env, napi_callback_info info) {
  napi_value argv[3], result = NULL;
  int fd = -1;
  if (!gd_args(env, info, 3, argv) || !gd_fd(env, argv[0], &fd)) return NULL;
  struct reader *reader = calloc(1, sizeof *reader);
  if (reader == NULL) gd_throw_errno(env, "readPipe", ENOMEM);
  if (reader == NULL || !init_reader(env, reader, argv[1], argv[2])) {
    close(fd);
    free(reader);
    return NULL;
  }
  if (napi_create_external(env, reader, on_free, NULL, &result) != napi_ok) {
    /* JavaScript never gets the reader, so it is closed here. */
    reader->is_released = true;
    close(fd);
    close_pipe(reader);
    return gd_throw_errno(env, "readPipe", ENOMEM);
  }
  /* A descriptor that cannot be read counts as ended. */
  if (open_pipe(reader, fd) != 0) close_pipe(reader);
  return result;
}

/* NULL, with an exception pending, when the value is not a reader. */
static struct reader *get_reader(napi_env env, napi_value value) {
  void *data = NULL;
  if (napi_get_value_external(env, value, &data) != napi_ok) gd_throw_type(env, "not a reader of readPipe");
  return data;
}

static napi_value pause_pipe(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  bool paused = false;
  if (!gd_args(env, info, 2, argv) || !gd_bool(env, argv[1], "paused", &paused)) return NULL;
  struct reader *reader = get_reader(env, argv[0]);
  if (reader == NULL) return NULL;
  if (reader->is_closed || uv_is_closing((uv_handle_t *)&reader->pipe)) return gd_undefined(env);
  if (paused) uv_read_stop((uv_stream_t *)&reader->pipe);
  else if (start_reading(reader) != 0) close_pipe(reader);
  return gd_undefined(env);
}

static napi_value close_reader(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  if (!gd_args(env, info, 1, argv)) return NULL;
  struct reader *reader = get_reader(env, argv[0]);
  if (reader == NULL) return NULL;
  close_pipe(reader);
  return gd_undefined(env);
}

/* -1 when it is closed or closing. */
static int fd_of(struct reader *reader) {
  uv_os_fd_t fd = -1;
  if (reader->has_ended || reader->is_closed) return -1;
  if (uv_is_closing((uv_handle_t *)&reader->pipe)) return -1;
  return uv_fileno((uv_handle_t *)&reader->pipe, &fd) == 0 ? fd : -1;
}

static napi_value pending_bytes(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  int bytes = 0;
  if (!gd_args(env, info, 1, argv)) return NULL;
  struct reader *reader = get_reader(env, argv[0]);
  if (reader == NULL) return NULL;
  int fd = fd_of(reader);
  if (fd < 0 || ioctl(fd, FIONREAD, &bytes) != 0 || bytes < 0) bytes = 0;
  return gd_number(env, bytes);
}

/* As read(2); EAGAIN also without a buffer to read into. */
static ssize_t read_once(struct reader *reader, int fd, size_t most) {
  uv_buf_t into = uv_buf_init(NULL, 0);
  ssize_t length = 0;
  on_alloc((uv_handle_t *)&reader->pipe, most, &into);
  if (into.base == NULL || into.len == 0) {
    errno = EAGAIN;
    return -1;
  }
  do length = read(fd, into.base, into.len < most ? into.len : most);
  while (length < 0 && errno == EINTR);
  return length;
}

/* Every write end is closed, and nothing is left to read. */
static bool is_at_end(int fd) {
  struct pollfd state = {.fd = fd, .events = POLLIN};
  return poll(&state, 1, 0) == 1 && (state.revents & POLLHUP) != 0 && (state.revents & POLLIN) == 0;
}

static napi_value drain_pipe(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  size_t total = 0;
  if (!gd_args(env, info, 2, argv)) return NULL;
  struct reader *reader = get_reader(env, argv[0]);
  int most = 0;
  if (reader == NULL || !gd_int(env, argv[1], "bytes", 0, INT_MAX, &most)) return NULL;
  /* read() may close the pipe. */
  for (int fd = fd_of(reader); fd >= 0 && (size_t)most > total; fd = fd_of(reader)) {
    ssize_t length = read_once(reader, fd, (size_t)most - total);
    if (length <= 0) break;
    total += (size_t)length;
    call_read(reader, length);
  }
  int fd = fd_of(reader);
  if (fd >= 0 && is_at_end(fd)) {
    call_read(reader, -1);
    close_pipe(reader);
  }
  return gd_number(env, (double)total);
}

void gd_init_read_pipe(napi_env env, napi_value exports) {
  gd_export(env, exports, "readPipe", read_pipe);
  gd_export(env, exports, "pausePipe", pause_pipe);
  gd_export(env, exports, "closePipe", close_reader);
  gd_export(env, exports, "pendingBytes", pending_bytes);
  gd_export(env, exports, "drainPipe", drain_pipe);
}
