/*
 * findUser(nameOrUid) → {name, uid, gid, home, shell, groups} or null, by the system's own databases
 * (getpwnam(3), getgrouplist(3)), so that whatever nsswitch.conf(5) names is asked.
 */
#define _GNU_SOURCE
#include "napi_util.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>

/* Longest entry of the user database that is read, in bytes. */
#define ENTRY_BYTES (64 * 1024)

static napi_value list_groups(napi_env env, const struct passwd *user) {
  napi_value result = NULL;
  int count = 0;
  getgrouplist(user->pw_name, user->pw_gid, NULL, &count);
  gid_t *groups = calloc((size_t)count + 1, sizeof *groups);
  if (groups == NULL || getgrouplist(user->pw_name, user->pw_gid, groups, &count) < 0) count = 0;
  napi_create_array(env, &result);
  for (int i = 0; i < count; i++) napi_set_element(env, result, (uint32_t)i, gd_number(env, groups[i]));
  free(groups);
  return result;
}

static napi_value describe(napi_env env, const struct passwd *user) {
  napi_value object = NULL;
  napi_create_object(env, &object);
  gd_set(env, object, "name", gd_string(env, user->pw_name));
  gd_set(env, object, "uid", gd_number(env, user->pw_uid));
  gd_set(env, object, "gid", gd_number(env, user->pw_gid));
  gd_set(env, object, "home", gd_string(env, user->pw_dir));
  gd_set(env, object, "shell", gd_string(env, user->pw_shell));
  gd_set(env, object, "groups", list_groups(env, user));
  return object;
}

static napi_value find_user(napi_env env, napi_callback_info info) {
  napi_value argv[1], result = NULL;
  napi_valuetype type;
  struct passwd entry, *found = NULL;
  char name[LOGIN_NAME_MAX];
  size_t length = 0;
  if (!gd_args(env, info, 1, argv)) return NULL;
  char *buffer = malloc(ENTRY_BYTES);
  if (buffer == NULL) return gd_throw_errno(env, "findUser", ENOMEM);
  napi_typeof(env, argv[0], &type);
  if (type == napi_number) {
    getpwuid_r((uid_t)gd_int64(env, argv[0]), &entry, buffer, ENTRY_BYTES, &found);
  } else if (napi_get_value_string_utf8(env, argv[0], NULL, 0, &length) == napi_ok && length < sizeof name) {
    napi_get_value_string_utf8(env, argv[0], name, sizeof name, &length);
    getpwnam_r(name, &entry, buffer, ENTRY_BYTES, &found);
  }
  if (found != NULL) result = describe(env, found);
  else napi_get_null(env, &result);
  free(buffer);
  return result;
}

void gd_init_users(napi_env env, napi_value exports) { gd_export(env, exports, "findUser", find_user); }
