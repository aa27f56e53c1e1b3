/* guestd's native addon: the system calls that Node does not make. One concern for each file. */
#include "kernel_signal.h"
#include "napi_util.h"
#include "plan.h"
#include "proc_stat.h"

/* The numbers that C and TypeScript share. */
static napi_value constants(napi_env env) {
  napi_value object = gd_object(env);
  gd_set(env, object, "maxId", gd_number(env, (double)GD_MAX_ID));
  gd_set(env, object, "lastSignal", gd_number(env, GD_LAST_SIGNAL));
  gd_set(env, object, "processColumns", gd_number(env, GD_PROCESS_COLUMNS));
  return object;
}

static napi_value init(napi_env env, napi_value exports) {
  gd_init_launch(env, exports);
  gd_init_exit(env, exports);
  gd_init_fds(env, exports);
  gd_init_orphans(env, exports);
  gd_init_process_table(env, exports);
  gd_init_read_pipe(env, exports);
  gd_init_users(env, exports);
  gd_init_vsock(env, exports);
  gd_init_notify(env, exports);
  gd_init_memory(env, exports);
  gd_init_signals(env, exports);
  gd_set(env, exports, "constants", constants(env));
  return exports;
}

NAPI_MODULE(NODE_GYP_MODULE_NAME, init)
