/* Small helpers over Node-API; the contract stands in napi_util.h. */
#define _GNU_SOURCE
#include "napi_util.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

bool gd_args(napi_env env, napi_callback_info info, size_t count, napi_value *argv) {
  size_t argc = count;
  if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) == napi_ok && argc >= count) return true;
  napi_throw_type_error(env, "ERR_MISSING_ARGS", "too few arguments");
  return false;
}

/* A getter may have thrown already: that error stays. */
static void throw_unless_pending(napi_env env, napi_status (*throw_error)(napi_env, const char *, const char *),
                                 const char *text) {
  bool pending = false;
  napi_is_exception_pending(env, &pending);
  if (!pending) throw_error(env, "ERR_INVALID_ARG_VALUE", text);
}

bool gd_integer(napi_env env, napi_value value, const char *name, int64_t least, int64_t most, int64_t *out) {
  double number = 0;
  char text[120];
  bool is_read = value != NULL && napi_get_value_double(env, value, &number) == napi_ok;
  /* Also false for NaN. The comparison comes first: to convert what does not fit is undefined. */
  if (is_read && number >= (double)least && number <= (double)most && number == (double)(int64_t)number) {
    *out = (int64_t)number;
    return true;
  }
  snprintf(text, sizeof text, "%s is not an integer from %lld to %lld", name, (long long)least, (long long)most);
  throw_unless_pending(env, napi_throw_range_error, text);
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
  throw_unless_pending(env, napi_throw_type_error, text);
  return false;
}

bool gd_text(napi_env env, napi_value value, char *text, size_t size, size_t *length) {
  /* The length first: a cut inside a character leaves the buffer with room. */
  if (napi_get_value_string_utf8(env, value, NULL, 0, length) != napi_ok || *length >= size) return false;
  return napi_get_value_string_utf8(env, value, text, size, length) == napi_ok && strlen(text) == *length;
}

napi_value gd_number(napi_env env, double number) {
  napi_value value = NULL;
  napi_create_double(env, number, &value);
  return value;
}

napi_value gd_string(napi_env env, const char *text) {
  napi_value value = NULL;
  napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &value);
  return value;
}

napi_value gd_undefined(napi_env env) {
  napi_value value = NULL;
  napi_get_undefined(env, &value);
  return value;
}

void gd_set(napi_env env, napi_value object, const char *name, napi_value value) {
  napi_set_named_property(env, object, name, value);
}

napi_value gd_get(napi_env env, napi_value object, const char *name) {
  napi_value value = NULL;
  return napi_get_named_property(env, object, name, &value) == napi_ok ? value : NULL;
}

napi_value gd_throw_errno(napi_env env, const char *call, int error) {
  char text[160];
  const char *code = strerrorname_np(error);
  snprintf(text, sizeof text, "%s: %s", call, strerror(error));
  napi_value message = gd_string(env, text);
  napi_value object = NULL;
  napi_create_error(env, gd_string(env, code != NULL ? code : "EUNKNOWN"), message, &object);
  gd_set(env, object, "errno", gd_number(env, error));
  gd_set(env, object, "syscall", gd_string(env, call));
  napi_throw(env, object);
  return NULL;
}

bool gd_keep_function(napi_env env, napi_value function, napi_ref *kept) {
  napi_valuetype type = napi_undefined;
  if (napi_typeof(env, function, &type) == napi_ok && type == napi_function &&
      napi_create_reference(env, function, 1, kept) == napi_ok)
    return true;
  throw_unless_pending(env, napi_throw_type_error, "not a function that can be kept");
  return false;
}

void gd_call(napi_env env, napi_ref function, size_t argc, napi_value *argv) {
  napi_value callee = NULL, global = NULL, thrown = NULL;
  napi_get_reference_value(env, function, &callee);
  napi_get_global(env, &global);
  /* napi_make_callback runs the microtasks and nextTicks that the call queued. */
  if (napi_make_callback(env, NULL, global, callee, argc, argv, NULL) != napi_pending_exception) return;
  if (napi_get_and_clear_last_exception(env, &thrown) == napi_ok) napi_fatal_exception(env, thrown);
}

void gd_export(napi_env env, napi_value exports, const char *name, napi_callback callback) {
  napi_value function = NULL;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, NULL, &function);
  gd_set(env, exports, name, function);
}
