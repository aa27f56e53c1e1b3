/*
 * The contract stands in proc_stat.h.
 *
 * processTable() → Float64Array: PID, parent, group, session, start time in ticks, of every live process; zombies are
 * left out. Takes some microseconds a process, and two descriptors. Throws where not all can be read.
 */
#define _GNU_SOURCE
#include "proc_stat.h"
#include "napi_util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The line has 52 fields of at most 20 digits, and a name of at most 64 bytes. */
#define LINE_BYTES 1536

/* Columns of a row of the table. */
#define COLUMNS 5

/* Rows at first; doubled where there are more. */
#define FIRST_ROWS 256

/* Numbers of the fields; the name, the second one, is the last that may hold a space. */
enum { STATE = 3, PARENT = 4, GROUP = 5, SESSION = 6, UTIME = 14, CSTIME = 17, THREADS = 20, START = 22, EXIT_CODE = 52 };

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
  /* An empty or a shorter line: it went while it was read. */
  errno = ESRCH;
  return number > EXIT_CODE;
}

struct table {
  double *rows;
  size_t count;
  size_t capacity;
};

static bool add_row(struct table *table, pid_t pid, const struct gd_proc_stat *stat) {
  if (table->count == table->capacity) {
    size_t capacity = table->capacity == 0 ? FIRST_ROWS : table->capacity * 2;
    double *rows = reallocarray(table->rows, capacity, COLUMNS * sizeof *rows);
    if (rows == NULL) return false;
    table->rows = rows;
    table->capacity = capacity;
  }
  double *row = table->rows + table->count * COLUMNS;
  row[0] = pid;
  row[1] = stat->parent;
  row[2] = stat->group;
  row[3] = stat->session;
  row[4] = stat->start_ticks;
  table->count += 1;
  return true;
}

/* 0 for a name that is no pid. */
static pid_t pid_of(const char *name) {
  char *end = NULL;
  if (name[0] < '1' || name[0] > '9') return 0;
  long pid = strtol(name, &end, 10);
  return *end == '\0' && pid <= INT_MAX ? (pid_t)pid : 0;
}

/* A zombie with other threads is alive: only its first one has ended. */
static bool is_alive(const struct gd_proc_stat *stat) {
  return stat->threads > 1 || (stat->state != 'Z' && stat->state != 'X');
}

/* 0, or an errno: then the table is not complete. */
static int fill(struct table *table, DIR *folder) {
  for (;;) {
    struct gd_proc_stat stat;
    errno = 0;
    const struct dirent *entry = readdir(folder);
    if (entry == NULL) return errno;
    pid_t pid = pid_of(entry->d_name);
    if (pid == 0) continue;
    if (!gd_read_proc_stat(pid, &stat)) {
      if (errno != ENOENT && errno != ESRCH) return errno;
    } else if (is_alive(&stat) && !add_row(table, pid, &stat)) {
      return ENOMEM;
    }
  }
}

static napi_value to_array(napi_env env, const struct table *table) {
  napi_value buffer = NULL, array = NULL;
  void *data = NULL;
  size_t count = table->count * COLUMNS;
  size_t bytes = count * sizeof *table->rows;
  if (napi_create_arraybuffer(env, bytes, &data, &buffer) != napi_ok) return NULL;
  if (bytes > 0) memcpy(data, table->rows, bytes);
  return napi_create_typedarray(env, napi_float64_array, count, buffer, 0, &array) == napi_ok ? array : NULL;
}

static napi_value process_table(napi_env env, napi_callback_info info) {
  struct table table = {0};
  napi_value result = NULL;
  (void)info;
  DIR *folder = opendir("/proc");
  if (folder == NULL) return gd_throw_errno(env, "opendir", errno);
  int error = fill(&table, folder);
  closedir(folder);
  if (error == 0) {
    result = to_array(env, &table);
    if (result == NULL) error = ENOMEM;
  }
  free(table.rows);
  return error == 0 ? result : gd_throw_errno(env, "processTable", error);
}

void gd_init_proc_stat(napi_env env, napi_value exports) {
  gd_export(env, exports, "processTable", process_table);
}
