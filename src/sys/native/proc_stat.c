/* The contract stands in proc_stat.h. */
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

/* Numbers of the fields; the name, the second one, is the last that may hold a space. */
enum { STATE = 3, UTIME = 14, CSTIME = 17, EXIT_CODE = 52 };

static ssize_t read_line(pid_t pid, char *line, size_t size) {
  char path[32];
  snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  ssize_t length;
  do length = read(fd, line, size - 1);
  while (length < 0 && errno == EINTR);
  close(fd);
  if (length >= 0) line[length] = '\0';
  return length;
}

bool gd_read_proc_stat(pid_t pid, struct gd_proc_stat *stat) {
  char line[LINE_BYTES];
  if (read_line(pid, line, sizeof line) <= 0) return false;
  char *rest = strrchr(line, ')');
  long ticks_per_second = sysconf(_SC_CLK_TCK);
  if (rest == NULL || ticks_per_second <= 0) return false;
  double ticks = 0;
  char *save = NULL;
  char *field = strtok_r(rest + 1, " \n", &save);
  *stat = (struct gd_proc_stat){0};
  for (int number = STATE; field != NULL; number++, field = strtok_r(NULL, " \n", &save)) {
    if (number == STATE) stat->state = field[0];
    if (number >= UTIME && number <= CSTIME) ticks += strtod(field, NULL);
    if (number != EXIT_CODE) continue;
    stat->exit_status = (int)strtol(field, NULL, 10);
    stat->cpu_microseconds = ticks * 1e6 / (double)ticks_per_second;
    return true;
  }
  return false;
}
