/* See napi_util.h for the contracts. */
#define _GNU_SOURCE
#include "napi_util.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#define INVALID_ARGUMENT "ERR_INVALID_ARG_VALUE"

void gd_must(napi_status status, const char *call) {
  if (status == napi_ok) return;
  char text[120];
  snprintf(text, sizeof text, "%s: status %d", call, (int)status);
  napi_fatal_error("guestd_native", NAPI_AUTO_LENGTH, text, NAPI_AUTO_LENGTH);
}

void gd_must_uv(int error, const char *call) { gd_must(error == 0 ? napi_ok : napi_generic_failure, call); }

bool gd_args(napi_env env, napi_callback_info info, size_t count, napi_value *argv) {
  size_t argc = count;
  if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) == napi_ok && argc >= count) return true;
  napi_throw_type_error(env, "ERR_MISSING_ARGS", "too few arguments");
  return false;
}

bool gd_is_pending(napi_env env) {
  bool pending = false;
  gd_must(napi_is_exception_pending(env, &pending), "napi_is_exception_pending");
  return pending;
}

napi_value gd_throw_type(napi_env env, const char *message) {
  if (!gd_is_pending(env)) gd_must(napi_throw_type_error(env, INVALID_ARGUMENT, message), "napi_throw_type_error");
  return NULL;
}

bool gd_integer(napi_env env, napi_value value, const char *name, int64_t least, int64_t most, int64_t *out) {
  double number = 0;
  char text[120];
  bool is_read = value != NULL && napi_get_value_double(env, value, &number) == napi_ok;
  /* NaN fails each comparison. They come before the conversion, which is undefined for a number that does not fit. */
  if (is_read && number >= (double)least && number <= (double)most && number == (double)(int64_t)number) {
    *out = (int64_t)number;
    return true;
  }
  snprintf(text, sizeof text, "%s is not an integer from %lld to %lld", name, (long long)least, (long long)most);
  if (!gd_is_pending(env)) gd_must(napi_throw_range_error(env, INVALID_ARGUMENT, text), "napi_throw_range_error");
  return false;
}

bool gd_int(napi_env env, napi_value value, const char *name, int least, int most, int *out) {
  int64_t number = 0;
  if (!gd_integer(env, value, name, least, most, &number)) return false;
  *out = (int)number;
  return true;
}

bool gd_fd(napi_env env, napi_value value, int *out) { return gd_int(env, value, "fd", 0, INT_MAX, out); }

bool gd_pid(napi_env env, napi_value value, pid_t *out) { return gd_int(env, value, "pid", 1, INT_MAX, out); }

bool gd_bool(napi_env env, napi_value value, const char *name, bool *out) {
  char text[80];
  if (value != NULL && napi_get_value_bool(env, value, out) == napi_ok) return true;
  snprintf(text, sizeof text, "%s is not a boolean", name);
  gd_throw_type(env, text);
  return false;
}

bool gd_is_string(napi_env env, napi_value value, const char *name) {
  napi_valuetype type = napi_undefined;
  char text[80];
  if (value != NULL && napi_typeof(env, value, &type) == napi_ok && type == napi_string) return true;
  snprintf(text, sizeof text, "%s is not a string", name);
  gd_throw_type(env, text);
  return false;
}

bool gd_text(napi_env env, napi_value value, char *text, size_t size, size_t *length) {
  /* The length first: a character that does not fit is left out, and then the buffer is not full. */
  if (napi_get_value_string_utf8(env, value, NULL, 0, length) != napi_ok || *length >= size) return false;
  return napi_get_value_string_utf8(env, value, text, size, length) == napi_ok && strlen(text) == *length;
}

napi_value gd_number(napi_env env, double number) {
  napi_value value = NULL;
  gd_must(napi_create_double(env, number, &value), "napi_create_double");
  return value;
}

napi_value gd_boolean(napi_env env, bool boolean) {
  napi_value value = NULL;
  gd_must(napi_get_boolean(env, boolean, &value), "napi_get_boolean");
  return value;
}

napi_value gd_string(napi_env env, const char *text) {
  napi_value value = NULL;
  gd_must(napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &value), "napi_create_string_utf8");
  return value;
}

napi_value gd_string_or_null(napi_env env, const char *text) {
  napi_value value = NULL;
  if (text != NULL) return gd_string(env, text);
  gd_must(napi_get_null(env, &value), "napi_get_null");
  return value;
}

static const char *errno_name(int error) {
  const char *name = strerrorname_np(error);
  return name != NULL ? name : "EUNKNOWN";
}

napi_value gd_errno_or_null(napi_env env, int error) {
  return gd_string_or_null(env, error == 0 ? NULL : errno_name(error));
}

napi_value gd_undefined(napi_env env) {
  napi_value value = NULL;
  gd_must(napi_get_undefined(env, &value), "napi_get_undefined");
  return value;
}

napi_value gd_object(napi_env env) {
  napi_value value = NULL;
  gd_must(napi_create_object(env, &value), "napi_create_object");
  return value;
}

void gd_set(napi_env env, napi_value object, const char *name, napi_value value) {
  gd_must(napi_set_named_property(env, object, name, value), "napi_set_named_property");
}

napi_value gd_get(napi_env env, napi_value object, const char *name) {
  napi_value value = NULL;
  return napi_get_named_property(env, object, name, &value) == napi_ok ? value : NULL;
}

napi_value gd_element(napi_env env, napi_value array, uint32_t index) {
  napi_value value = NULL;
  return napi_get_element(env, array, index, &value) == napi_ok ? value : NULL;
}

napi_value gd_throw_errno(napi_env env, const char *call, int error) {
  char text[160];
  napi_value object = NULL;
  if (gd_is_pending(env)) return NULL;
  snprintf(text, sizeof text, "%s: %s", call, strerror(error));
  napi_value message = gd_string(env, text);
  gd_must(napi_create_error(env, gd_string(env, errno_name(error)), message, &object), "napi_create_error");
  gd_set(env, object, "errno", gd_number(env, error));
  gd_set(env, object, "syscall", gd_string(env, call));
  gd_must(napi_throw(env, object), "napi_throw");
  return NULL;
}

bool gd_keep_function(napi_env env, napi_value function, napi_ref *kept) {
  napi_valuetype type = napi_undefined;
  if (napi_typeof(env, function, &type) == napi_ok && type == napi_function &&
      napi_create_reference(env, function, 1, kept) == napi_ok)
    return true;
  gd_throw_type(env, "not a function that can be kept");
  return false;
}

void gd_drop_function(napi_env env, napi_ref kept) {
  gd_must(napi_delete_reference(env, kept), "napi_delete_reference");
}

void gd_call(napi_env env, napi_ref function, size_t argc, napi_value *argv) {
  napi_value callee = NULL, global = NULL, thrown = NULL;
  gd_must(napi_get_reference_value(env, function, &callee), "napi_get_reference_value");
  gd_must(napi_get_global(env, &global), "napi_get_global");
  /* napi_make_callback also runs the microtasks and nextTicks that the call has queued. */
  napi_status status = napi_make_callback(env, NULL, global, callee, argc, argv, NULL);
  /* No other failure matters: JavaScript cannot run any more, as Node ends. */
  if (status != napi_pending_exception) return;
  if (napi_get_and_clear_last_exception(env, &thrown) == napi_ok) napi_fatal_exception(env, thrown);
}

napi_handle_scope gd_open_scope(napi_env env) {
  napi_handle_scope scope = NULL;
  gd_must(napi_open_handle_scope(env, &scope), "napi_open_handle_scope");
  return scope;
}

void gd_close_scope(napi_env env, napi_handle_scope scope) {
  gd_must(napi_close_handle_scope(env, scope), "napi_close_handle_scope");
}

void gd_export(napi_env env, napi_value exports, const char *name, napi_callback callback) {
  napi_value function = NULL;
  gd_must(napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, NULL, &function), "napi_create_function");
  gd_set(env, exports, name, function);
}
