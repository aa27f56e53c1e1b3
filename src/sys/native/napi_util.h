/* Helpers over Node-API: read arguments, throw errors with an errno name, make results. */
#ifndef GUESTD_NAPI_UTIL_H
#define GUESTD_NAPI_UTIL_H

#define NAPI_VERSION 9
#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Reading an argument can fail: the caller returns NULL, and JavaScript gets the pending exception. Making a result
 * fails only without memory, or after a mistake in this addon: then the process ends, as V8 ends it without memory.
 */

/* Ends the process with a message that names the call, unless the status is napi_ok, or the libuv error is 0. */
void gd_must(napi_status status, const char *call);
void gd_must_uv(int error, const char *call);

/* Reads the first `count` arguments. Throws a TypeError and returns false when there are fewer. */
bool gd_args(napi_env env, napi_callback_info info, size_t count, napi_value *argv);

/*
 * Reads an integer from `least` to `most`, both within ±2^53. Any other value, such as 1.5, NaN or "1", throws a
 * RangeError that contains `name`; then the result is false, and *out is unchanged.
 */
bool gd_integer(napi_env env, napi_value value, const char *name, int64_t least, int64_t most, int64_t *out);

/* The same for an int, for a descriptor (from 0), and for a pid (from 1). */
bool gd_int(napi_env env, napi_value value, const char *name, int least, int most, int *out);
bool gd_fd(napi_env env, napi_value value, int *out);
bool gd_pid(napi_env env, napi_value value, pid_t *out);

/* Reads true or false. Any other value throws a TypeError. */
bool gd_bool(napi_env env, napi_value value, const char *name, bool *out);

/* Throws a TypeError and returns false when the value is not a string. */
bool gd_is_string(napi_env env, napi_value value, const char *name);

/*
 * Copies a string, with its NUL, into `text` of `size` bytes. Returns false when the value is not a string, contains a
 * NUL, or does not fit: a part of it would name something else. Throws nothing.
 */
bool gd_text(napi_env env, napi_value value, char *text, size_t size, size_t *length);

/* Whether an exception is pending. */
bool gd_is_pending(napi_env env);

/* Throws a TypeError with this message, unless an exception is pending, as of a getter. Returns NULL. */
napi_value gd_throw_type(napi_env env, const char *message);

/* Throws an Error with message "CALL: text", `code` such as "EACCES", and `errno`, unless one is pending. Returns NULL. */
napi_value gd_throw_errno(napi_env env, const char *call, int error);

napi_value gd_number(napi_env env, double number);
napi_value gd_boolean(napi_env env, bool value);
napi_value gd_string(napi_env env, const char *text);
napi_value gd_string_or_null(napi_env env, const char *text);
/* The name of an errno, such as "EACCES", "EUNKNOWN" for one without a name, or null for 0. */
napi_value gd_errno_or_null(napi_env env, int error);

napi_value gd_undefined(napi_env env);
napi_value gd_object(napi_env env);
void gd_set(napi_env env, napi_value object, const char *name, napi_value value);

/* Reads a property. NULL when it cannot be read; an exception is pending when a getter has thrown. */
napi_value gd_get(napi_env env, napi_value object, const char *name);

/* Reads an element of an array, in the same way. */
napi_value gd_element(napi_env env, napi_value array, uint32_t index);

/* Keeps a function for later calls. False, with an exception pending, when it is not a function. */
bool gd_keep_function(napi_env env, napi_value function, napi_ref *kept);
void gd_drop_function(napi_env env, napi_ref kept);

/* Calls a kept function from the event loop. An exception that it throws is reported as uncaught. */
void gd_call(napi_env env, napi_ref function, size_t argc, napi_value *argv);

/* A callback of libuv opens a scope for the values that it makes. */
napi_handle_scope gd_open_scope(napi_env env);
void gd_close_scope(napi_env env, napi_handle_scope scope);

void gd_export(napi_env env, napi_value exports, const char *name, napi_callback callback);

/* Each file exports its functions. */
void gd_init_launch(napi_env env, napi_value exports);
void gd_init_exit(napi_env env, napi_value exports);
void gd_init_fds(napi_env env, napi_value exports);
void gd_init_orphans(napi_env env, napi_value exports);
void gd_init_process_table(napi_env env, napi_value exports);
void gd_init_read_pipe(napi_env env, napi_value exports);
void gd_init_users(napi_env env, napi_value exports);
void gd_init_vsock(napi_env env, napi_value exports);
void gd_init_notify(napi_env env, napi_value exports);
void gd_init_memory(napi_env env, napi_value exports);
void gd_init_signals(napi_env env, napi_value exports);

#endif
