/*
 * readers ADDRESS ID STALLED OTHERS ACCEPT GO: one command, many readers of it.
 *
 * The command ID waits on its stdin. The first reader is its starter (the request body is read from
 * stdin), then come the rest of OTHERS and STALLED followers. Once all have had the first bytes of
 * their replies, the line GO goes to the command's stdin, and the OTHERS are read to their end. The
 * stalled ones are never read again, with the smallest receive buffer there is.
 *
 * Prints, for each of the OTHERS, "bytes N ns N": what it read, and when it had it all after GO.
 */
#define _GNU_SOURCE
#include "reply.h"

#include <sys/epoll.h>

#define READ_BYTES (256 * 1024)
#define BODY_BYTES 4096

struct reader {
  int fd;
  uint64_t bytes;
  int64_t took;
};

static char buffer[READ_BYTES];

static int open_reader(const char *address, char *request, int stalled) {
  int fd = connect_address(address);
  int smallest = 1;
  if (stalled) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &smallest, sizeof smallest);
  write_all(fd, request, strlen(request));
  ssize_t got = read(fd, buffer, 12);
  if (got != 12 || memcmp(buffer, "HTTP/1.1 200", 12) != 0) die_plain("a reader was refused");
  return fd;
}

static void go(const char *address, const char *id, const char *line) {
  static struct connection connection;
  char *path = NULL, *text = NULL;
  if (asprintf(&path, "/v1/commands/%s/stdin?eof=true", id) < 0) die("asprintf");
  if (asprintf(&text,
               "POST %s HTTP/1.1\r\nhost: guestd\r\ncontent-type: application/octet-stream\r\n"
               "connection: close\r\ncontent-length: %zu\r\n\r\n%s\n",
               path, strlen(line) + 1, line) < 0)
    die("asprintf");
  connection.fd = connect_address(address);
  write_all(connection.fd, text, strlen(text));
  int status = read_reply(&connection);
  if (status / 100 != 2) {
    fprintf(stderr, "stdin answered %d\n", status);
    exit(1);
  }
  close(connection.fd);
}

static void read_all(struct reader *readers, long count, int64_t from) {
  int poll = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event events[64];
  for (long i = 0; i < count; i++) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &readers[i]};
    if (epoll_ctl(poll, EPOLL_CTL_ADD, readers[i].fd, &event) != 0) die("epoll_ctl");
  }
  for (long open = count; open > 0;) {
    int ready = epoll_wait(poll, events, 64, -1);
    for (int i = 0; i < ready; i++) {
      struct reader *reader = events[i].data.ptr;
      ssize_t got = read(reader->fd, buffer, READ_BYTES);
      if (got < 0) die("read");
      reader->bytes += (uint64_t)got;
      if (got > 0) continue;
      reader->took = now_ns() - from;
      epoll_ctl(poll, EPOLL_CTL_DEL, reader->fd, NULL);
      open -= 1;
    }
  }
}

int main(int argc, char **argv) {
  if (argc != 7) die_plain("usage: readers ADDRESS ID STALLED OTHERS ACCEPT GO <BODY");
  const char *address = argv[1], *id = argv[2];
  long stalled = number(argv[3]), others = number(argv[4]);
  char body[BODY_BYTES + 1] = "";
  if (fread(body, 1, BODY_BYTES, stdin) == 0) die_plain("no request on stdin");
  char *path = NULL, *headers = NULL;
  if (asprintf(&headers, "connection: close\r\naccept: %s\r\n", argv[5]) < 0) die("asprintf");
  if (asprintf(&path, "/v1/commands/%s/output?follow=true", id) < 0) die("asprintf");
  char *start = make_request("POST", "/v1/commands", headers, body);
  char *follow = make_request("GET", path, headers, "");

  struct reader *readers = calloc((size_t)others, sizeof *readers);
  for (long i = 0; i < others; i++)
    readers[i].fd = open_reader(address, i == 0 ? start : follow, 0);
  for (long i = 0; i < stalled; i++) open_reader(address, follow, 1);
  int64_t from = now_ns();
  go(address, id, argv[6]);
  read_all(readers, others, from);
  for (long i = 0; i < others; i++)
    printf("bytes %llu ns %lld\n", (unsigned long long)readers[i].bytes, (long long)readers[i].took);
  return 0;
}
