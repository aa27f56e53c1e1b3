/*
 * Makes one call of the addon fail, for tests of what a launch does then. The linker sends each of these calls of the
 * addon here (--wrap, ld(1)); `WRAPPED` in build.ts lists them.
 *
 * failCall(n): the nth call from now on fails once; 0: none does.
 * failedCall() → name of the call that has failed since then, or null.
 * liveBlocks() → number of blocks of memory that the addon has allocated and not freed.
 */
#define _GNU_SOURCE
#include "napi_util.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

static atomic_int countdown;
static _Atomic(const char *) failed;
static atomic_int live;

static bool fails(const char *call) {
  if (atomic_load(&countdown) <= 0 || atomic_fetch_sub(&countdown, 1) != 1) return false;
  failed = call;
  return true;
}

static void *counted(void *block) {
  if (block != NULL) atomic_fetch_add(&live, 1);
  return block;
}

#define WRAP(type, name, failure, parameters, ...) \
  type __real_##name parameters;                   \
  type __wrap_##name parameters;                   \
  type __wrap_##name parameters { return fails(#name) ? (failure) : __real_##name(__VA_ARGS__); }

#define WRAP_ALLOCATION(name, parameters, ...)                     \
  void *__real_##name parameters;                                  \
  void *__wrap_##name parameters;                                  \
  void *__wrap_##name parameters {                                 \
    if (!fails(#name)) return counted(__real_##name(__VA_ARGS__)); \
    errno = ENOMEM;                                                \
    return NULL;                                                   \
  }

WRAP_ALLOCATION(malloc, (size_t size), size)
WRAP_ALLOCATION(calloc, (size_t count, size_t size), count, size)
WRAP_ALLOCATION(strdup, (const char *text), text)

void __real_free(void *block);
void __wrap_free(void *block);
void __wrap_free(void *block) {
  if (block != NULL) atomic_fetch_sub(&live, 1);
  __real_free(block);
}

WRAP(int, pthread_mutex_init, ENOMEM, (pthread_mutex_t * mutex, const pthread_mutexattr_t *as), mutex, as)
WRAP(int, pthread_attr_init, ENOMEM, (pthread_attr_t * attributes), attributes)
WRAP(int, pthread_attr_setdetachstate, EINVAL, (pthread_attr_t * attributes, int state), attributes, state)
WRAP(int, pthread_attr_setstacksize, EINVAL, (pthread_attr_t * attributes, size_t size), attributes, size)
WRAP(int, pthread_create, EAGAIN,
     (pthread_t * thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument), thread, attributes,
     run, argument)
WRAP(int, uv_poll_init, UV_ENOMEM, (uv_loop_t * loop, uv_poll_t *poll, int fd), loop, poll, fd)
WRAP(napi_status, napi_get_uv_event_loop, napi_generic_failure, (napi_env env, uv_loop_t **loop), env, loop)
WRAP(napi_status, napi_get_named_property, napi_generic_failure,
     (napi_env env, napi_value object, const char *name, napi_value *value), env, object, name, value)
WRAP(napi_status, napi_get_element, napi_generic_failure,
     (napi_env env, napi_value array, uint32_t index, napi_value *value), env, array, index, value)
WRAP(napi_status, napi_get_array_length, napi_generic_failure, (napi_env env, napi_value array, uint32_t *length), env,
     array, length)
WRAP(napi_status, napi_get_value_string_utf8, napi_generic_failure,
     (napi_env env, napi_value value, char *text, size_t size, size_t *length), env, value, text, size, length)
WRAP(napi_status, napi_get_value_double, napi_generic_failure, (napi_env env, napi_value value, double *number), env,
     value, number)
WRAP(napi_status, napi_get_value_bool, napi_generic_failure, (napi_env env, napi_value value, bool *flag), env, value,
     flag)
WRAP(napi_status, napi_typeof, napi_generic_failure, (napi_env env, napi_value value, napi_valuetype *type), env, value,
     type)
WRAP(napi_status, napi_create_reference, napi_generic_failure,
     (napi_env env, napi_value value, uint32_t count, napi_ref *kept), env, value, count, kept)
WRAP(napi_status, napi_get_cb_info, napi_generic_failure,
     (napi_env env, napi_callback_info info, size_t *count, napi_value *argv, napi_value *self, void **data), env, info,
     count, argv, self, data)

static napi_value fail_call(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  int number = 0;
  atomic_store(&countdown, 0);
  if (!gd_args(env, info, 1, argv) || !gd_int(env, argv[0], "n", 0, INT_MAX, &number)) return NULL;
  failed = NULL;
  atomic_store(&countdown, number);
  return gd_undefined(env);
}

static napi_value failed_call(napi_env env, napi_callback_info info) {
  (void)info;
  return gd_string_or_null(env, failed);
}

static napi_value live_blocks(napi_env env, napi_callback_info info) {
  (void)info;
  return gd_number(env, atomic_load(&live));
}

void __real_gd_init_signals(napi_env env, napi_value exports);
void __wrap_gd_init_signals(napi_env env, napi_value exports);
void __wrap_gd_init_signals(napi_env env, napi_value exports) {
  __real_gd_init_signals(env, exports);
  gd_export(env, exports, "failCall", fail_call);
  gd_export(env, exports, "failedCall", failed_call);
  gd_export(env, exports, "liveBlocks", live_blocks);
}
