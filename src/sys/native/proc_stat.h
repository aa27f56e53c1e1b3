/* Reads /proc/PID/stat: proc_pid_stat(5). No Node-API in here. */
#ifndef GUESTD_PROC_STAT_H
#define GUESTD_PROC_STAT_H

#include <stdbool.h>
#include <sys/types.h>

/* Numbers in a row of processTable(): process_table.c. */
#define GD_PROCESS_COLUMNS 5

struct gd_proc_stat {
  char state; /* 'Z' for a zombie */
  pid_t parent;
  pid_t group;
  pid_t session;
  int threads;             /* the live ones, and the first one, which may end before the others */
  double cpu_microseconds; /* of the process and of the children that it has waited for */
  double start_ticks;      /* after boot; with the pid it names one process */
  int exit_status;         /* of a zombie, as wait(2) gives it */
};

/* False when it cannot be read; errno is then ENOENT or ESRCH when there is no such process. */
bool gd_read_proc_stat(pid_t pid, struct gd_proc_stat *stat);

#endif
