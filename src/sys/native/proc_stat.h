/* Facts of a process that cannot be waited for: /proc/PID/stat, proc_pid_stat(5). */
#ifndef GUESTD_PROC_STAT_H
#define GUESTD_PROC_STAT_H

#include <stdbool.h>
#include <sys/types.h>

struct gd_proc_stat {
  char state; /* 'Z' for a zombie */
  double cpu_microseconds; /* of the process and the children that it has waited for */
  int exit_status; /* as wait(2) has it; of a zombie */
};

/* False where there is no such process, or it cannot be read. */
bool gd_read_proc_stat(pid_t pid, struct gd_proc_stat *stat);

#endif
