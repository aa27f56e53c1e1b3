/* Facts of processes that guestd cannot wait for: /proc/PID/stat, proc_pid_stat(5). */
#ifndef GUESTD_PROC_STAT_H
#define GUESTD_PROC_STAT_H

#include <stdbool.h>
#include <sys/types.h>

struct gd_proc_stat {
  char state; /* 'Z' for a zombie */
  pid_t parent;
  pid_t group;
  pid_t session;
  int threads; /* those that live, and the first one: that of a process may end before the others */
  double cpu_microseconds; /* of the process and the children that it has waited for */
  double start_ticks; /* after boot; with the pid it names one process */
  int exit_status; /* as wait(2) has it; of a zombie */
};

/* False where it cannot be read; errno is ENOENT or ESRCH where there is no such process. */
bool gd_read_proc_stat(pid_t pid, struct gd_proc_stat *stat);

#endif
