/*
 * trimMemory(): malloc_trim(3), which gives freed pages of every arena back to the kernel. The C library keeps them
 * otherwise, and each thread on which V8 compiles and collects garbage has an arena. It locks one arena after another: a
 * few milliseconds for tens of MiB.
 */
#include "napi_util.h"

#include <malloc.h>

static napi_value trim_memory(napi_env env, napi_callback_info info) {
  (void)info;
  malloc_trim(0);
  return gd_undefined(env);
}

void gd_init_memory(napi_env env, napi_value exports) { gd_export(env, exports, "trimMemory", trim_memory); }
