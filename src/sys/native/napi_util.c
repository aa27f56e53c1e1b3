/* Small helpers over Node-API; the contract stands in napi_util.h. */
#define _GNU_SOURCE
#include "napi_util.h"

#include <stdio.h>
#include <string.h>

bool gd_args(napi_env env, napi_callback_info info, size_t count, napi_value *argv) {
  size_t argc = count;
  if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) == napi_ok && argc >= count) return true;
  napi_throw_type_error(env, "ERR_MISSING_ARGS", "too few arguments");
  return false;
}

int32_t gd_int(napi_env env, napi_value value) {
  int32_t number = 0;
  napi_get_value_int32(env, value, &number);
  return number;
}

int64_t gd_int64(napi_env env, napi_value value) {
  int64_t number = 0;
  napi_get_value_int64(env, value, &number);
  return number;
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
  napi_get_named_property(env, object, name, &value);
  return value;
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
