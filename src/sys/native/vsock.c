/*
 * AF_VSOCK (vsock(7)), which Node does not support.
 *
 * vsockListen(port) → fd of a listening socket on every CID of this machine.
 * vsockConnect(cid, port) → fd of a socket that is connecting.
 * vsockConnected(fd, done): calls done(errno name | null) when it has connected or failed.
 * vsockPeer(fd) → CID of the other end, or -1 when the socket is of another family.
 * socketFamily(fd) → "vsock", "unix", "inet", or "other".
 * peerGone(fd) → whether the peer has closed the connection, not only its sending side.
 */
#define _GNU_SOURCE
#include "napi_util.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/vm_sockets.h>
#include <unistd.h>
#include <uv.h>

/* Connections that wait for accept; the kernel limits it to net.core.somaxconn. */
#define BACKLOG 4096

static int vsock_socket(void) { return socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0); }

static napi_value close_and_throw(napi_env env, int fd, const char *call) {
  int error = errno;
  if (fd >= 0) close(fd);
  return gd_throw_errno(env, call, error);
}

static napi_value vsock_listen(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  int64_t port = 0;
  if (!gd_args(env, info, 1, argv) || !gd_integer(env, argv[0], "port", 0, UINT32_MAX, &port)) return NULL;
  struct sockaddr_vm address = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = (unsigned)port};
  int fd = vsock_socket();
  if (fd < 0) return close_and_throw(env, fd, "socket");
  if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0) return close_and_throw(env, fd, "bind");
  if (listen(fd, BACKLOG) != 0) return close_and_throw(env, fd, "listen");
  return gd_number(env, fd);
}

static napi_value vsock_connect(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  int64_t cid = 0, port = 0;
  if (!gd_args(env, info, 2, argv) || !gd_integer(env, argv[0], "cid", 0, UINT32_MAX, &cid)) return NULL;
  if (!gd_integer(env, argv[1], "port", 0, UINT32_MAX, &port)) return NULL;
  struct sockaddr_vm address = {.svm_family = AF_VSOCK, .svm_cid = (unsigned)cid, .svm_port = (unsigned)port};
  int fd = vsock_socket();
  if (fd < 0) return close_and_throw(env, fd, "socket");
  if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0 && errno != EINPROGRESS)
    return close_and_throw(env, fd, "connect");
  return gd_number(env, fd);
}

struct connect_watch {
  uv_poll_t poll;
  napi_env env;
  napi_ref done;
  int fd;
};

static void on_closed(uv_handle_t *handle) { free(handle->data); }

/* Stops polling before the call of done, so that another handle can use the fd. */
static void on_connect_ended(uv_poll_t *poll, int status, int events) {
  struct connect_watch *watch = poll->data;
  napi_env env = watch->env;
  int error = status < 0 ? -status : 0;
  socklen_t size = sizeof error;
  (void)events;
  if (error == 0 && getsockopt(watch->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  uv_poll_stop(poll);
  uv_close((uv_handle_t *)poll, on_closed);
  napi_handle_scope scope = gd_open_scope(env);
  napi_value result = gd_errno_or_null(env, error);
  gd_call(env, watch->done, 1, &result);
  gd_drop_function(env, watch->done);
  gd_close_scope(env, scope);
}

static napi_value vsock_connected(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  uv_loop_t *loop = NULL;
  int fd = -1;
  napi_ref done = NULL;
  if (!gd_args(env, info, 2, argv) || !gd_fd(env, argv[0], &fd)) return NULL;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok) return gd_throw_errno(env, "vsockConnected", EINVAL);
  if (!gd_keep_function(env, argv[1], &done)) return NULL;
  struct connect_watch *watch = calloc(1, sizeof *watch);
  int error = watch == NULL ? UV_ENOMEM : uv_poll_init(loop, &watch->poll, fd);
  if (error != 0) {
    gd_drop_function(env, done);
    free(watch);
    return gd_throw_errno(env, "uv_poll_init", -error);
  }
  watch->env = env;
  watch->fd = fd;
  watch->done = done;
  watch->poll.data = watch;
  gd_must_uv(uv_poll_start(&watch->poll, UV_WRITABLE, on_connect_ended), "uv_poll_start");
  return gd_undefined(env);
}

static napi_value vsock_peer(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  int fd = -1;
  if (!gd_args(env, info, 1, argv) || !gd_fd(env, argv[0], &fd)) return NULL;
  struct sockaddr_storage storage = {0};
  socklen_t size = sizeof storage;
  if (getpeername(fd, (struct sockaddr *)&storage, &size) != 0) return gd_throw_errno(env, "getpeername", errno);
  if (storage.ss_family != AF_VSOCK) return gd_number(env, -1);
  struct sockaddr_vm address;
  memcpy(&address, &storage, sizeof address);
  return gd_number(env, address.svm_cid);
}

static napi_value socket_family(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  int fd = -1;
  if (!gd_args(env, info, 1, argv) || !gd_fd(env, argv[0], &fd)) return NULL;
  struct sockaddr_storage storage = {0};
  socklen_t size = sizeof storage;
  if (getsockname(fd, (struct sockaddr *)&storage, &size) != 0) return gd_throw_errno(env, "getsockname", errno);
  switch (storage.ss_family) {
    case AF_VSOCK: return gd_string(env, "vsock");
    case AF_UNIX: return gd_string(env, "unix");
    case AF_INET:
    case AF_INET6: return gd_string(env, "inet");
    default: return gd_string(env, "other");
  }
}

/*
 * After the peer has closed, poll(2) reports POLLHUP for a Unix socket, and send(2) of no bytes fails with EPIPE for a
 * vsock socket. For TCP a close looks like a shutdown of the sending side until the peer answers a write with a reset,
 * which poll reports.
 */
static napi_value peer_gone(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  int fd = -1;
  if (!gd_args(env, info, 1, argv) || !gd_fd(env, argv[0], &fd)) return NULL;
  struct pollfd looked = {.fd = fd};
  if (poll(&looked, 1, 0) < 0) return gd_throw_errno(env, "poll", errno);
  bool gone = (looked.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
  if (!gone && send(fd, "", 0, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) gone = errno != EAGAIN && errno != EINTR;
  return gd_boolean(env, gone);
}

void gd_init_vsock(napi_env env, napi_value exports) {
  gd_export(env, exports, "vsockListen", vsock_listen);
  gd_export(env, exports, "vsockConnect", vsock_connect);
  gd_export(env, exports, "vsockConnected", vsock_connected);
  gd_export(env, exports, "vsockPeer", vsock_peer);
  gd_export(env, exports, "socketFamily", socket_family);
  gd_export(env, exports, "peerGone", peer_gone);
}
