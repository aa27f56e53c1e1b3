/*
 * findUser(nameOrUid) → {name, uid, gid, home, shell, groups}, or null when there is no such user. It asks every
 * database that nsswitch.conf(5) lists (getpwnam(3), getgrouplist(3)). Throws when they cannot be read, as without a
 * free descriptor: then it is not known whether there is such a user.
 */
#define _GNU_SOURCE
#include "napi_util.h"
#include "plan.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>

/* Longest entry of the user database, in bytes. */
#define ENTRY_BYTES (64 * 1024)

/* NULL, with an exception pending: a command must not run without the groups of its user. */
static napi_value list_groups(napi_env env, const struct passwd *user) {
  napi_value result = NULL;
  int count = 0;
  getgrouplist(user->pw_name, user->pw_gid, NULL, &count);
  gid_t *groups = count < 0 ? NULL : calloc((size_t)count + 1, sizeof *groups);
  if (groups == NULL || getgrouplist(user->pw_name, user->pw_gid, groups, &count) < 0) {
    free(groups);
    return gd_throw_errno(env, "getgrouplist", ENOMEM);
  }
  gd_must(napi_create_array(env, &result), "napi_create_array");
  for (int i = 0; i < count; i++)
    gd_must(napi_set_element(env, result, (uint32_t)i, gd_number(env, groups[i])), "napi_set_element");
  free(groups);
  return result;
}

static napi_value describe(napi_env env, const struct passwd *user) {
  napi_value groups = list_groups(env, user);
  if (groups == NULL) return NULL;
  napi_value object = gd_object(env);
  gd_set(env, object, "name", gd_string(env, user->pw_name));
  gd_set(env, object, "uid", gd_number(env, user->pw_uid));
  gd_set(env, object, "gid", gd_number(env, user->pw_gid));
  gd_set(env, object, "home", gd_string(env, user->pw_dir));
  gd_set(env, object, "shell", gd_string(env, user->pw_shell));
  gd_set(env, object, "groups", groups);
  return object;
}

/* getpwnam(3) lists these errors for "not found". After any other it is not known whether there is such a user. */
static bool is_not_found(int error) {
  return error == 0 || error == ENOENT || error == ESRCH || error == EBADF || error == EPERM;
}

/* Returns the errno of the look-up; EINVAL, with an exception pending, for a wrong argument. */
static int look_up(napi_env env, napi_value wanted, struct passwd *entry, char *buffer, struct passwd **found) {
  napi_valuetype type = napi_undefined;
  char name[LOGIN_NAME_MAX];
  size_t length = 0;
  int64_t uid = 0;
  if (napi_typeof(env, wanted, &type) == napi_ok && type == napi_number) {
    if (!gd_integer(env, wanted, "uid", 0, GD_MAX_ID, &uid)) return EINVAL;
    return getpwuid_r((uid_t)uid, entry, buffer, ENTRY_BYTES, found);
  }
  if (!gd_is_string(env, wanted, "nameOrUid")) return EINVAL;
  if (!gd_text(env, wanted, name, sizeof name, &length)) return 0;
  return getpwnam_r(name, entry, buffer, ENTRY_BYTES, found);
}

static napi_value find_user(napi_env env, napi_callback_info info) {
  napi_value argv[1], result = NULL;
  struct passwd entry, *found = NULL;
  if (!gd_args(env, info, 1, argv)) return NULL;
  char *buffer = malloc(ENTRY_BYTES);
  if (buffer == NULL) return gd_throw_errno(env, "findUser", ENOMEM);
  int error = look_up(env, argv[0], &entry, buffer, &found);
  if (found != NULL) result = describe(env, found);
  else if (is_not_found(error)) result = gd_string_or_null(env, NULL);
  else gd_throw_errno(env, "getpwnam", error);
  free(buffer);
  return result;
}

void gd_init_users(napi_env env, napi_value exports) { gd_export(env, exports, "findUser", find_user); }
