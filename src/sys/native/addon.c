/* guestd's native edge: the system calls that Node does not make. One file a concern. */
#include "napi_util.h"

static napi_value init(napi_env env, napi_value exports) {
  gd_init_launch(env, exports);
  gd_init_exit(env, exports);
  gd_init_fds(env, exports);
  gd_init_orphans(env, exports);
  gd_init_proc_stat(env, exports);
  gd_init_read_pipe(env, exports);
  gd_init_users(env, exports);
  gd_init_vsock(env, exports);
  gd_init_notify(env, exports);
  gd_init_memory(env, exports);
  gd_init_signals(env, exports);
  return exports;
}

NAPI_MODULE(NODE_GYP_MODULE_NAME, init)
