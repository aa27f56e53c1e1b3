/* A launch's plan out of JavaScript values: copies that no garbage collection moves or frees. */
#ifndef GUESTD_PLAN_H
#define GUESTD_PLAN_H

#include "clone.h"
#include "napi_util.h"

/* NULL for what is not a string. */
char *gd_copy_string(napi_env env, napi_value value);

/* Of an array of strings: a list that ends with NULL. */
char **gd_copy_list(napi_env env, napi_value array);
void gd_free_list(char *const *list);

/* Reads the fields of LaunchSpec in native.ts; the cgroup is the caller's to fill in. */
void gd_copy_plan(napi_env env, napi_value spec, struct gd_child_plan *plan);
void gd_free_plan(struct gd_child_plan *plan);

#endif
