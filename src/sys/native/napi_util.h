/* Small helpers over Node-API: read arguments, throw errors with an errno name, make results. */
#ifndef GUESTD_NAPI_UTIL_H
#define GUESTD_NAPI_UTIL_H

#define NAPI_VERSION 9
#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Takes exactly `count` arguments into argv; throws a TypeError and returns false when fewer came. */
bool gd_args(napi_env env, napi_callback_info info, size_t count, napi_value *argv);

/*
 * Reads an integer from `least` to `most`, both within ±2^53. Anything else, such as 1.5, NaN, "1", or a number out of
 * the range, throws a RangeError that names `name`; then the result is false, and *out is untouched.
 */
bool gd_integer(napi_env env, napi_value value, const char *name, int64_t least, int64_t most, int64_t *out);

/* The same for types of their own: a descriptor is from 0 on, a pid from 1 on. */
bool gd_int(napi_env env, napi_value value, const char *name, int least, int most, int *out);
bool gd_fd(napi_env env, napi_value value, int *out);
bool gd_pid(napi_env env, napi_value value, pid_t *out);

/* True or false; anything else throws a TypeError. */
bool gd_bool(napi_env env, napi_value value, const char *name, bool *out);

/*
 * Copies a string into `text` of `size` bytes, with its NUL. False where it is no string, holds a NUL, or does not fit:
 * a part of it would name something else. No exception is thrown.
 */
bool gd_text(napi_env env, napi_value value, char *text, size_t size, size_t *length);

napi_value gd_number(napi_env env, double number);
napi_value gd_string(napi_env env, const char *text);
napi_value gd_undefined(napi_env env);
void gd_set(napi_env env, napi_value object, const char *name, napi_value value);
/* NULL where it cannot be read: then an exception is pending. */
napi_value gd_get(napi_env env, napi_value object, const char *name);

/* Throws an Error with message "CALL: text", `code` such as "EACCES", and `errno`. Returns NULL. */
napi_value gd_throw_errno(napi_env env, const char *call, int error);

/*
 * Keeps a function for a later gd_call. False: there is no memory for it, or it is no function; an exception is
 * pending then.
 */
bool gd_keep_function(napi_env env, napi_value function, napi_ref *kept);

/* Calls a JavaScript function from the event loop; an exception it throws is reported as uncaught. */
void gd_call(napi_env env, napi_ref function, size_t argc, napi_value *argv);

void gd_export(napi_env env, napi_value exports, const char *name, napi_callback callback);

/* One initialiser for each concern. */
void gd_init_launch(napi_env env, napi_value exports);
void gd_init_exit(napi_env env, napi_value exports);
void gd_init_fds(napi_env env, napi_value exports);
void gd_init_orphans(napi_env env, napi_value exports);
void gd_init_proc_stat(napi_env env, napi_value exports);
void gd_init_read_pipe(napi_env env, napi_value exports);
void gd_init_users(napi_env env, napi_value exports);
void gd_init_vsock(napi_env env, napi_value exports);
void gd_init_notify(napi_env env, napi_value exports);
void gd_init_memory(napi_env env, napi_value exports);
void gd_init_signals(napi_env env, napi_value exports);

#endif
