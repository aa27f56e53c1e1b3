/* Small helpers over Node-API: read arguments, throw errors with an errno name, make results. */
#ifndef GUESTD_NAPI_UTIL_H
#define GUESTD_NAPI_UTIL_H

#define NAPI_VERSION 9
#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Takes exactly `count` arguments into argv; throws a TypeError and returns false when fewer came. */
bool gd_args(napi_env env, napi_callback_info info, size_t count, napi_value *argv);

/* Numbers out of JavaScript values; anything else reads as 0. */
int32_t gd_int(napi_env env, napi_value value);
int64_t gd_int64(napi_env env, napi_value value);

napi_value gd_number(napi_env env, double number);
napi_value gd_string(napi_env env, const char *text);
napi_value gd_undefined(napi_env env);
void gd_set(napi_env env, napi_value object, const char *name, napi_value value);
napi_value gd_get(napi_env env, napi_value object, const char *name);

/* Throws an Error with message "CALL: text", `code` such as "EACCES", and `errno`. Returns NULL. */
napi_value gd_throw_errno(napi_env env, const char *call, int error);

/* Calls a JavaScript function from the event loop; an exception it throws is reported as uncaught. */
void gd_call(napi_env env, napi_ref function, size_t argc, napi_value *argv);

void gd_export(napi_env env, napi_value exports, const char *name, napi_callback callback);

/* One initialiser for each concern. */
void gd_init_launch(napi_env env, napi_value exports);
void gd_init_exit(napi_env env, napi_value exports);
void gd_init_fds(napi_env env, napi_value exports);
void gd_init_read_pipe(napi_env env, napi_value exports);
void gd_init_users(napi_env env, napi_value exports);
void gd_init_vsock(napi_env env, napi_value exports);
void gd_init_notify(napi_env env, napi_value exports);
void gd_init_memory(napi_env env, napi_value exports);
void gd_init_signals(napi_env env, napi_value exports);

#endif
