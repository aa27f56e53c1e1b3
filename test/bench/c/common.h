/*
 * What the measuring programs share: the clock, the end with a message, and the way to guestd.
 * All of it lives in this header, so that each program is one file for the compiler.
 */
#ifndef BENCH_COMMON_H
#define BENCH_COMMON_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static inline int64_t now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static inline void die(const char *what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(1);
}

static inline void die_plain(const char *what) {
  fprintf(stderr, "%s\n", what);
  exit(1);
}

static inline long number(const char *text) {
  char *end;
  long value = strtol(text, &end, 10);
  if (*text == '\0' || *end != '\0' || value < 0) die_plain("not a number among the arguments");
  return value;
}

static inline void write_all(int fd, const char *bytes, size_t length) {
  while (length > 0) {
    ssize_t written = write(fd, bytes, length);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) die("write");
    bytes += written;
    length -= (size_t)written;
  }
}

static inline int connect_unix(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) die_plain("the socket's path is too long");
  strcpy(address.sun_path, path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) die("socket");
  if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) die("connect");
  return fd;
}

/* Firecracker's habit: "CONNECT <port>\n", answered by "OK <n>\n". */
static inline int connect_guest(const char *path, const char *port) {
  char line[64];
  int fd = connect_unix(path);
  int length = snprintf(line, sizeof line, "CONNECT %s\n", port);
  write_all(fd, line, (size_t)length);
  for (size_t at = 0; at < sizeof line; at++) {
    if (read(fd, line + at, 1) != 1) die_plain("no listener on that port of the guest");
    if (line[at] == '\n') return fd;
  }
  die_plain("no answer to CONNECT");
  return -1;
}

/* "unix:PATH" or "firecracker:PATH:PORT". */
static inline int connect_address(const char *address) {
  if (strncmp(address, "unix:", 5) == 0) return connect_unix(address + 5);
  if (strncmp(address, "firecracker:", 12) != 0) die_plain("an address is unix:… or firecracker:…");
  char *path = strdup(address + 12);
  char *port = path == NULL ? NULL : strrchr(path, ':');
  if (port == NULL) die_plain("firecracker: needs a path and a port");
  *port = '\0';
  int fd = connect_guest(path, port + 1);
  free(path);
  return fd;
}

#endif
