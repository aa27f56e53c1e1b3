{
  "targets": [
    {
      "target_name": "guestd_native",
      "sources": [
        "addon.c", "napi_util.c", "clone.c", "launch.c", "launch_thread.c", "threads.c", "plan.c", "exit.c", "fds.c", "read_pipe.c", "users.c", "vsock.c",
        "notify.c", "memory.c", "signals.c", "orphans.c", "proc_stat.c", "process_table.c", "interpreter.c"
      ],
      "cflags": ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-fvisibility=hidden"]
    },
    {
      "target_name": "guestd-helper",
      "type": "executable",
      "product_extension": "",
      "sources": [
        "helper/main.c", "helper/common.c", "helper/processes.c", "helper/device.c", "helper/mount.c", "helper/flush.c", "helper/loop.c", "helper/power.c", "helper/mark.c", "helper/lock.c",
        "helper/usage.c", "helper/walk.c", "helper/largest.c", "helper/own.c", "helper/release.c", "helper/drain.c",
        "helper/stats.c", "helper/enter.c", "helper/ipc.c",
        "helper/trim.c", "helper/clear.c"
      ],
      "cflags": ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror"],
      "ldflags!": ["-rdynamic"],
      "ldflags": ["-static", "-s"]
    }
  ]
}
