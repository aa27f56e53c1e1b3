/* See plan.h for the contracts. */
#include "plan.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Limits of a string and of a list: execve(2) takes no more. */
#define MAX_STRING_BYTES (8 * 1024 * 1024)
#define MAX_ITEMS (4 * 1024 * 1024)

/* NGROUPS_MAX of setgroups(2). */
#define MAX_GROUPS 65536

static void *throw_type(napi_env env, const char *name, const char *what) {
  char text[120];
  snprintf(text, sizeof text, "%s is not %s", name, what);
  return gd_throw_type(env, text);
}

char *gd_copy_string(napi_env env, napi_value value, const char *name) {
  size_t length = 0;
  if (value == NULL || napi_get_value_string_utf8(env, value, NULL, 0, &length) != napi_ok || length > MAX_STRING_BYTES)
    return throw_type(env, name, "a string of at most 8 MiB");
  char *text = malloc(length + 1);
  if (text == NULL) {
    gd_throw_errno(env, name, ENOMEM);
    return NULL;
  }
  if (napi_get_value_string_utf8(env, value, text, length + 1, &length) == napi_ok && strlen(text) == length)
    return text;
  free(text);
  return throw_type(env, name, "a string without NUL");
}

/* False, with an exception pending, when the value is not an array, or a longer one. */
static bool array_length(napi_env env, napi_value array, const char *name, uint32_t most, uint32_t *count) {
  if (array != NULL && napi_get_array_length(env, array, count) == napi_ok && *count <= most) return true;
  throw_type(env, name, "an array within the limit of its length");
  return false;
}

char **gd_copy_list(napi_env env, napi_value array, const char *name) {
  uint32_t count = 0;
  if (!array_length(env, array, name, MAX_ITEMS, &count)) return NULL;
  char **list = calloc((size_t)count + 1, sizeof *list);
  if (list == NULL) {
    gd_throw_errno(env, name, ENOMEM);
    return NULL;
  }
  for (uint32_t i = 0; i < count; i++) {
    /* Without a scope the handles of all strings, which may be millions, stay until the end of the call. */
    napi_handle_scope scope = gd_open_scope(env);
    list[i] = gd_copy_string(env, gd_element(env, array, i), name);
    gd_close_scope(env, scope);
    if (list[i] != NULL) continue;
    gd_free_list(list);
    return NULL;
  }
  return list;
}

static bool copy_groups(napi_env env, napi_value array, struct gd_child_plan *plan) {
  uint32_t count = 0;
  if (!array_length(env, array, "groups", MAX_GROUPS, &count)) return false;
  gid_t *groups = calloc((size_t)count + 1, sizeof *groups);
  plan->groups = groups;
  if (groups == NULL) {
    gd_throw_errno(env, "groups", ENOMEM);
    return false;
  }
  for (uint32_t i = 0; i < count; i++) {
    int64_t gid = 0;
    if (!gd_integer(env, gd_element(env, array, i), "groups", 0, GD_MAX_ID, &gid)) return false;
    groups[i] = (gid_t)gid;
  }
  plan->group_count = count;
  return true;
}

static bool copy_texts(napi_env env, napi_value spec, struct gd_child_plan *plan) {
  return (plan->argv = gd_copy_list(env, gd_get(env, spec, "argv"), "argv")) != NULL &&
         (plan->envp = gd_copy_list(env, gd_get(env, spec, "env"), "env")) != NULL &&
         (plan->paths = gd_copy_list(env, gd_get(env, spec, "paths"), "paths")) != NULL &&
         (plan->cwd = gd_copy_string(env, gd_get(env, spec, "cwd"), "cwd")) != NULL &&
         (plan->oom_score_adj = gd_copy_string(env, gd_get(env, spec, "oomScoreAdj"), "oomScoreAdj")) != NULL;
}

/* The child's own descriptors become 0, 1 and 2, so none of these may be one of them. */
static bool copy_stdio(napi_env env, napi_value spec, struct gd_child_plan *plan) {
  return gd_int(env, gd_get(env, spec, "stdin"), "stdin", -1, INT_MAX, &plan->stdio[0]) &&
         gd_int(env, gd_get(env, spec, "stdout"), "stdout", 3, INT_MAX, &plan->stdio[1]) &&
         gd_int(env, gd_get(env, spec, "stderr"), "stderr", 3, INT_MAX, &plan->stdio[2]) &&
         (plan->stdio[0] < 0 || gd_int(env, gd_get(env, spec, "stdin"), "stdin", 3, INT_MAX, &plan->stdio[0]));
}

static bool copy_user(napi_env env, napi_value spec, struct gd_child_plan *plan) {
  int64_t uid = 0, gid = 0;
  if (!gd_bool(env, gd_get(env, spec, "switchUser"), "switchUser", &plan->switch_user) ||
      !gd_integer(env, gd_get(env, spec, "uid"), "uid", 0, GD_MAX_ID, &uid) ||
      !gd_integer(env, gd_get(env, spec, "gid"), "gid", 0, GD_MAX_ID, &gid))
    return false;
  plan->uid = (uid_t)uid;
  plan->gid = (gid_t)gid;
  return copy_groups(env, gd_get(env, spec, "groups"), plan);
}

/* A process cannot have more than INT_MAX descriptors. */
static bool copy_limits(napi_env env, napi_value spec, struct gd_child_plan *plan) {
  int64_t soft = 0, hard = 0;
  if (!gd_integer(env, gd_get(env, spec, "nofileSoft"), "nofileSoft", 0, INT_MAX, &soft) ||
      !gd_integer(env, gd_get(env, spec, "nofileHard"), "nofileHard", 0, INT_MAX, &hard))
    return false;
  plan->nofile_soft = (unsigned long long)soft;
  plan->nofile_hard = (unsigned long long)hard;
  return true;
}

bool gd_copy_plan(napi_env env, napi_value spec, struct gd_child_plan *plan) {
  return copy_texts(env, spec, plan) && copy_stdio(env, spec, plan) && copy_user(env, spec, plan) &&
         copy_limits(env, spec, plan);
}

void gd_free_list(char *const *list) {
  if (list == NULL) return;
  for (char *const *item = list; *item != NULL; item++) free(*item);
  free((void *)list);
}

void gd_free_plan(struct gd_child_plan *plan) {
  gd_free_list(plan->argv);
  gd_free_list(plan->envp);
  gd_free_list(plan->paths);
  free((void *)plan->cwd);
  free((void *)plan->oom_score_adj);
  free((void *)plan->groups);
}
