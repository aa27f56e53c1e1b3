/* A launch's plan out of JavaScript values: copies that no garbage collection moves or frees. */
#ifndef GUESTD_PLAN_H
#define GUESTD_PLAN_H

#include "clone.h"
#include "napi_util.h"

/* The largest uid and gid: (uid_t)-1 means "leave as it is" to the kernel. */
#define GD_MAX_ID (UINT32_MAX - 1LL)

/* NULL, with an exception pending, for what is no string, holds a NUL, or finds no memory. */
char *gd_copy_string(napi_env env, napi_value value, const char *name);

/* Of an array of strings: a list that ends with NULL. All of them, or NULL with an exception pending. */
char **gd_copy_list(napi_env env, napi_value array, const char *name);
void gd_free_list(char *const *list);

/*
 * Reads the fields of LaunchSpec in native.ts; the cgroup is the caller's to fill in. False, with an exception
 * pending, where one of them is not as it has to be: nothing is guessed. The plan is to be freed in both cases.
 */
bool gd_copy_plan(napi_env env, napi_value spec, struct gd_child_plan *plan);
void gd_free_plan(struct gd_child_plan *plan);

#endif
