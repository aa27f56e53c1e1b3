/*
 * park FILE SOCKET…: sends FILE, open, to each socket by SCM_RIGHTS, and ends. Prints for each the call that
 * failed, or "sent".
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int connect_to(const char *path) {
  const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) return -1;
  strcpy(address.sun_path, path);
  for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
    int fd = socket(AF_UNIX, types[i] | SOCK_NONBLOCK, 0);
    if (fd < 0) return -1;
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) return fd;
    int error = errno;
    close(fd);
    errno = error;
    if (error != EPROTOTYPE) return -1;
  }
  return -1;
}

static int send_fd(int to, int fd) {
  char byte = 'x';
  union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof fd)];
  } control = {0};
  struct iovec data = {&byte, 1};
  struct msghdr message = {
    .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof fd);
  memcpy(CMSG_DATA(rights), &fd, sizeof fd);
  return sendmsg(to, &message, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

int main(int argc, char **argv) {
  int fd = argc < 3 ? -1 : open(argv[1], O_RDONLY);
  if (fd < 0) {
    perror("park FILE SOCKET…");
    return 1;
  }
  for (int i = 2; i < argc; i++) {
    int to = connect_to(argv[i]);
    if (to < 0) printf("%s connect %s\n", argv[i], strerrorname_np(errno));
    else if (send_fd(to, fd) != 0) printf("%s send %s\n", argv[i], strerrorname_np(errno));
    else printf("%s sent\n", argv[i]);
  }
  return 0;
}
