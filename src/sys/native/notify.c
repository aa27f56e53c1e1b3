/*
 * Datagrams to the service manager, see sd_notify(3). Node has no Unix datagram sockets.
 *
 * notifySocket() → fd of a socket to send from, close-on-exec.
 * notifySend(fd, address, message, fds) → null, or the name of the errno, such as "EAGAIN" while the queue of the
 *   receiver is full. It never waits, and throws for wrong arguments only. `address` is a path or, when its first byte
 *   is "@", an abstract name (unix(7)). The receiver gets duplicates of `fds`, at most MAX_FDS.
 */
#define _GNU_SOURCE
#include "napi_util.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

/* guestd sends one or two. The kernel allows 253 in a datagram (SCM_MAX_FD). */
#define MAX_FDS 16

/* A status line is much shorter. */
#define MAX_MESSAGE_BYTES 4096

static napi_value notify_socket(napi_env env, napi_callback_info info) {
  (void)info;
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return gd_throw_errno(env, "socket", errno);
  return gd_number(env, fd);
}

/* Returns the length of the address, or 0 when it does not fit. */
static socklen_t to_address(napi_env env, napi_value text, struct sockaddr_un *address) {
  char path[sizeof address->sun_path] = "";
  size_t length = 0;
  if (!gd_text(env, text, path, sizeof path, &length) || length == 0) return 0;
  address->sun_family = AF_UNIX;
  memcpy(address->sun_path, path, length);
  if (path[0] == '@') address->sun_path[0] = '\0';
  /* A path ends with a NUL; an abstract name does not. */
  return offsetof(struct sockaddr_un, sun_path) + length + (path[0] == '@' ? 0 : 1);
}

/* False, with an exception pending, when it is not an array of descriptors. */
static bool to_fds(napi_env env, napi_value array, int *fds, uint32_t *count) {
  if (napi_get_array_length(env, array, count) != napi_ok || *count > MAX_FDS) {
    gd_throw_type(env, "fds is not an array of at most 16 descriptors");
    return false;
  }
  for (uint32_t i = 0; i < *count; i++)
    if (!gd_fd(env, gd_element(env, array, i), &fds[i])) return false;
  return true;
}

static napi_value notify_send(napi_env env, napi_callback_info info) {
  napi_value argv[4];
  struct sockaddr_un address = {0};
  char message[MAX_MESSAGE_BYTES];
  size_t length = 0;
  int fds[MAX_FDS];
  union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof fds)];
  } control = {0};
  if (!gd_args(env, info, 4, argv)) return NULL;
  if (!gd_is_string(env, argv[1], "address") || !gd_is_string(env, argv[2], "message")) return NULL;
  socklen_t address_size = to_address(env, argv[1], &address);
  if (address_size == 0) return gd_errno_or_null(env, ENAMETOOLONG);
  uint32_t count = 0;
  int socket = -1;
  if (!gd_text(env, argv[2], message, sizeof message, &length)) return gd_errno_or_null(env, EMSGSIZE);
  if (!gd_fd(env, argv[0], &socket) || !to_fds(env, argv[3], fds, &count)) return NULL;
  struct iovec part = {.iov_base = message, .iov_len = length};
  struct msghdr datagram = {.msg_name = &address, .msg_namelen = address_size, .msg_iov = &part, .msg_iovlen = 1};
  if (count > 0) {
    datagram.msg_control = control.bytes;
    datagram.msg_controllen = CMSG_SPACE((size_t)count * sizeof fds[0]);
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN((size_t)count * sizeof fds[0]);
    memcpy(CMSG_DATA(&control.header), fds, count * sizeof fds[0]);
  }
  ssize_t sent = sendmsg(socket, &datagram, MSG_NOSIGNAL | MSG_DONTWAIT);
  return gd_errno_or_null(env, sent < 0 ? errno : 0);
}

void gd_init_notify(napi_env env, napi_value exports) {
  gd_export(env, exports, "notifySocket", notify_socket);
  gd_export(env, exports, "notifySend", notify_send);
}
