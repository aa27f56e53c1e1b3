/* A launch's plan out of JavaScript values; the contract stands in plan.h. */
#include "plan.h"

#include <stdlib.h>

char *gd_copy_string(napi_env env, napi_value value) {
  size_t length = 0;
  if (napi_get_value_string_utf8(env, value, NULL, 0, &length) != napi_ok) return NULL;
  char *text = malloc(length + 1);
  if (text != NULL) napi_get_value_string_utf8(env, value, text, length + 1, &length);
  return text;
}

char **gd_copy_list(napi_env env, napi_value array) {
  uint32_t count = 0;
  napi_get_array_length(env, array, &count);
  char **list = calloc((size_t)count + 1, sizeof *list);
  for (uint32_t i = 0; list != NULL && i < count; i++) {
    napi_value item = NULL;
    napi_get_element(env, array, i, &item);
    list[i] = gd_copy_string(env, item);
  }
  return list;
}

static void copy_groups(napi_env env, napi_value array, struct gd_child_plan *plan) {
  uint32_t count = 0;
  napi_get_array_length(env, array, &count);
  gid_t *groups = calloc((size_t)count + 1, sizeof *groups);
  for (uint32_t i = 0; groups != NULL && i < count; i++) {
    napi_value item = NULL;
    napi_get_element(env, array, i, &item);
    groups[i] = (gid_t)gd_int64(env, item);
  }
  plan->groups = groups;
  plan->group_count = count;
}

void gd_copy_plan(napi_env env, napi_value spec, struct gd_child_plan *plan) {
  plan->argv = gd_copy_list(env, gd_get(env, spec, "argv"));
  plan->envp = gd_copy_list(env, gd_get(env, spec, "env"));
  plan->paths = gd_copy_list(env, gd_get(env, spec, "paths"));
  plan->cwd = gd_copy_string(env, gd_get(env, spec, "cwd"));
  plan->oom_score_adj = gd_copy_string(env, gd_get(env, spec, "oomScoreAdj"));
  plan->stdio[0] = gd_int(env, gd_get(env, spec, "stdin"));
  plan->stdio[1] = gd_int(env, gd_get(env, spec, "stdout"));
  plan->stdio[2] = gd_int(env, gd_get(env, spec, "stderr"));
  plan->cgroup_fd = -1;
  napi_get_value_bool(env, gd_get(env, spec, "switchUser"), &plan->switch_user);
  plan->uid = (uid_t)gd_int64(env, gd_get(env, spec, "uid"));
  plan->gid = (gid_t)gd_int64(env, gd_get(env, spec, "gid"));
  copy_groups(env, gd_get(env, spec, "groups"), plan);
  plan->nofile_soft = (unsigned long long)gd_int64(env, gd_get(env, spec, "nofileSoft"));
  plan->nofile_hard = (unsigned long long)gd_int64(env, gd_get(env, spec, "nofileHard"));
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
