/*
 * trimMemory(): malloc_trim(3) of every arena: pages that were freed go back to the kernel. The C library
 * keeps them by itself, and each thread that the engine compiles and collects garbage on has an arena. Holds
 * each arena for as long as its pages take: a few milliseconds for tens of MiB.
 */
#include "napi_util.h"

#include <malloc.h>

static napi_value trim_memory(napi_env env, napi_callback_info info) {
  (void)info;
  malloc_trim(0);
  return gd_undefined(env);
}

void gd_init_memory(napi_env env, napi_value exports) {
  gd_export(env, exports, "trimMemory", trim_memory);
}
