/* See proc_stat.h for the contract. */
#define _GNU_SOURCE
#include "proc_stat.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The line has 52 fields of at most 20 digits, and a name of at most 64 bytes. */
#define LINE_BYTES 1536

/* Numbers of the fields. Field 2, the name, is the last field that can contain a space. */
enum { STATE = 3, PARENT = 4, GROUP = 5, SESSION = 6, UTIME = 14, CSTIME = 17 };
enum { THREADS = 20, START = 22, EXIT_CODE = 52 };

static ssize_t read_line(pid_t pid, char *line, size_t size) {
  char path[32];
  snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  ssize_t length;
  do length = read(fd, line, size - 1);
  while (length < 0 && errno == EINTR);
  int error = errno;
  close(fd);
  errno = error;
  if (length >= 0) line[length] = '\0';
  return length;
}

static void take_field(struct gd_proc_stat *stat, int number, const char *field) {
  switch (number) {
    case STATE: stat->state = field[0]; break;
    case PARENT: stat->parent = (pid_t)strtol(field, NULL, 10); break;
    case GROUP: stat->group = (pid_t)strtol(field, NULL, 10); break;
    case SESSION: stat->session = (pid_t)strtol(field, NULL, 10); break;
    case THREADS: stat->threads = (int)strtol(field, NULL, 10); break;
    case START: stat->start_ticks = strtod(field, NULL); break;
    case EXIT_CODE: stat->exit_status = (int)strtol(field, NULL, 10); break;
    default: break;
  }
}

bool gd_read_proc_stat(pid_t pid, struct gd_proc_stat *stat) {
  char line[LINE_BYTES];
  ssize_t length = read_line(pid, line, sizeof line);
  if (length < 0) return false;
  char *rest = strrchr(line, ')');
  long ticks_per_second = sysconf(_SC_CLK_TCK);
  double ticks = 0;
  char *save = NULL;
  int number = STATE;
  *stat = (struct gd_proc_stat){0};
  if (rest != NULL && ticks_per_second > 0) {
    char *field = strtok_r(rest + 1, " \n", &save);
    for (; field != NULL && number <= EXIT_CODE; number++, field = strtok_r(NULL, " \n", &save)) {
      take_field(stat, number, field);
      if (number >= UTIME && number <= CSTIME) ticks += strtod(field, NULL);
    }
    stat->cpu_microseconds = ticks * 1e6 / (double)ticks_per_second;
  }
  /* The line is empty or short when the process exits meanwhile. */
  errno = ESRCH;
  return number > EXIT_CODE;
}
