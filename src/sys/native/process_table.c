/*
 * processTable() → Float64Array: the rows of all live processes, each of GD_PROCESS_COLUMNS numbers: pid, parent, group, session,
 * start time in ticks. Zombies are left out. It takes some microseconds for each process, and two descriptors. Throws
 * when the table would not be complete.
 */
#define _GNU_SOURCE
#include "napi_util.h"
#include "proc_stat.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* Rows at first; the table doubles when it is full. */
#define FIRST_ROWS 256

struct table {
  double *rows;
  size_t count;
  size_t capacity;
};

static bool add_row(struct table *table, pid_t pid, const struct gd_proc_stat *stat) {
  if (table->count == table->capacity) {
    size_t capacity = table->capacity == 0 ? FIRST_ROWS : table->capacity * 2;
    double *rows = reallocarray(table->rows, capacity, GD_PROCESS_COLUMNS * sizeof *rows);
    if (rows == NULL) return false;
    table->rows = rows;
    table->capacity = capacity;
  }
  double *row = table->rows + table->count * GD_PROCESS_COLUMNS;
  row[0] = pid;
  row[1] = stat->parent;
  row[2] = stat->group;
  row[3] = stat->session;
  row[4] = stat->start_ticks;
  table->count += 1;
  return true;
}

/* 0 for a name that is not a pid. */
static pid_t pid_of(const char *name) {
  char *end = NULL;
  if (name[0] < '1' || name[0] > '9') return 0;
  long pid = strtol(name, &end, 10);
  return *end == '\0' && pid <= INT_MAX ? (pid_t)pid : 0;
}

/* A zombie with other threads is alive: only its first thread has ended. */
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
  size_t count = table->count * GD_PROCESS_COLUMNS;
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

void gd_init_process_table(napi_env env, napi_value exports) { gd_export(env, exports, "processTable", process_table); }
