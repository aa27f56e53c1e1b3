/* Reads the plan of a launch from JavaScript values. It consists of copies, which garbage collection does not move. */
#ifndef GUESTD_PLAN_H
#define GUESTD_PLAN_H

#include "clone.h"
#include "napi_util.h"

/* The largest uid and gid: (uid_t)-1 means "leave as it is" to the kernel. */
#define GD_MAX_ID (UINT32_MAX - 1LL)

/*
 * Copies a string; the caller frees it. NULL, with an exception pending, when the value is not a string, is longer than
 * 8 MiB, contains a NUL, or when memory is short.
 */
char *gd_copy_string(napi_env env, napi_value value, const char *name);

/* Copies an array of strings to a list that ends with NULL: all of them, or NULL with an exception pending. */
char **gd_copy_list(napi_env env, napi_value array, const char *name);
void gd_free_list(char *const *list);

/*
 * Reads the fields of LaunchSpec in native.ts into a zeroed plan, but for the cgroup. False, with an exception pending,
 * when a field is not valid. Free the plan in both cases.
 */
bool gd_copy_plan(napi_env env, napi_value spec, struct gd_child_plan *plan);
void gd_free_plan(struct gd_child_plan *plan);

#endif
