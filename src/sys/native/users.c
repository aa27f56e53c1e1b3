/*
 * findUser(nameOrUid) → {name, uid, gid, home, shell, groups} or null, by the system's own databases
 * (getpwnam(3), getgrouplist(3)), so that whatever nsswitch.conf(5) names is asked. Throws where they cannot be
 * read, as without a free descriptor: then it is not known whether there is such a user.
 */
#define _GNU_SOURCE
#include "napi_util.h"
#include "plan.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>

/* Longest entry of the user database that is read, in bytes. */
#define ENTRY_BYTES (64 * 1024)

/* NULL with an exception pending: a user without its groups is another one. */
static napi_value list_groups(napi_env env, const struct passwd *user) {
  napi_value result = NULL;
  int count = 0;
  getgrouplist(user->pw_name, user->pw_gid, NULL, &count);
  gid_t *groups = count < 0 ? NULL : calloc((size_t)count + 1, sizeof *groups);
  if (groups == NULL || getgrouplist(user->pw_name, user->pw_gid, groups, &count) < 0) {
    free(groups);
    return gd_throw_errno(env, "getgrouplist", ENOMEM);
  }
  bool is_made = napi_create_array(env, &result) == napi_ok;
  for (int i = 0; is_made && i < count; i++)
    is_made = napi_set_element(env, result, (uint32_t)i, gd_number(env, groups[i])) == napi_ok;
  free(groups);
  return is_made ? result : gd_throw_errno(env, "findUser", ENOMEM);
}

static napi_value describe(napi_env env, const struct passwd *user) {
  napi_value object = NULL;
  napi_value groups = list_groups(env, user);
  if (groups == NULL) return NULL;
  napi_create_object(env, &object);
  gd_set(env, object, "name", gd_string(env, user->pw_name));
  gd_set(env, object, "uid", gd_number(env, user->pw_uid));
  gd_set(env, object, "gid", gd_number(env, user->pw_gid));
  gd_set(env, object, "home", gd_string(env, user->pw_dir));
  gd_set(env, object, "shell", gd_string(env, user->pw_shell));
  gd_set(env, object, "groups", groups);
  return object;
}

/* getpwnam(3) names these for "not found", beside 0; with any other it is not known whether there is one. */
static bool is_not_found(int error) {
  return error == 0 || error == ENOENT || error == ESRCH || error == EBADF || error == EPERM;
}

/* The errno of the look-up; EINVAL, with an exception pending, for a number out of the range. */
static int look_up(napi_env env, napi_value wanted, struct passwd *entry, char *buffer, struct passwd **found) {
  napi_valuetype type = napi_undefined;
  char name[LOGIN_NAME_MAX];
  size_t length = 0;
  int64_t uid = 0;
  napi_typeof(env, wanted, &type);
  if (type == napi_number) {
    if (!gd_integer(env, wanted, "uid", 0, GD_MAX_ID, &uid)) return EINVAL;
    return getpwuid_r((uid_t)uid, entry, buffer, ENTRY_BYTES, found);
  }
  if (!gd_text(env, wanted, name, sizeof name, &length)) return 0;
  return getpwnam_r(name, entry, buffer, ENTRY_BYTES, found);
}

static napi_value find_user(napi_env env, napi_callback_info info) {
  napi_value argv[1], result = NULL;
  struct passwd entry, *found = NULL;
  bool pending = false;
  if (!gd_args(env, info, 1, argv)) return NULL;
  char *buffer = malloc(ENTRY_BYTES);
  if (buffer == NULL) return gd_throw_errno(env, "findUser", ENOMEM);
  int error = look_up(env, argv[0], &entry, buffer, &found);
  napi_is_exception_pending(env, &pending);
  if (found != NULL) result = describe(env, found);
  else if (is_not_found(error)) napi_get_null(env, &result);
  else if (!pending) gd_throw_errno(env, "getpwnam", error);
  free(buffer);
  return result;
}

void gd_init_users(napi_env env, napi_value exports) { gd_export(env, exports, "findUser", find_user); }
