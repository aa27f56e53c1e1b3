/* Reads replies of HTTP/1.1 off a connection that is kept alive: just enough of RFC 9112. */
#ifndef BENCH_REPLY_H
#define BENCH_REPLY_H

#include "common.h"

#include <strings.h>

#define REPLY_BUFFER_BYTES (64 * 1024)

struct connection {
  int fd;
  size_t begin, end;
  char bytes[REPLY_BUFFER_BYTES + 1];
};

static inline void fill(struct connection *connection) {
  if (connection->begin == connection->end) connection->begin = connection->end = 0;
  if (connection->end == REPLY_BUFFER_BYTES) {
    size_t length = connection->end - connection->begin;
    if (length == REPLY_BUFFER_BYTES) die_plain("a line of the reply is too long");
    memmove(connection->bytes, connection->bytes + connection->begin, length);
    connection->begin = 0;
    connection->end = length;
  }
  ssize_t got;
  do {
    got = read(connection->fd, connection->bytes + connection->end,
               REPLY_BUFFER_BYTES - connection->end);
  } while (got < 0 && errno == EINTR);
  if (got < 0) die("read");
  if (got == 0) die_plain("the connection ended inside a reply");
  connection->end += (size_t)got;
}

/* The next line, without its CRLF; valid until the next call. */
static inline char *read_line(struct connection *connection) {
  for (size_t seen = 0;;) {
    char *from = connection->bytes + connection->begin;
    char *feed = memchr(from + seen, '\n', connection->end - connection->begin - seen);
    if (feed == NULL) {
      seen = connection->end - connection->begin;
      fill(connection);
      continue;
    }
    connection->begin = (size_t)(feed - connection->bytes) + 1;
    *feed = '\0';
    if (feed > from && feed[-1] == '\r') feed[-1] = '\0';
    return from;
  }
}

static inline void skip(struct connection *connection, size_t length) {
  while (length > 0) {
    if (connection->begin == connection->end) fill(connection);
    size_t there = connection->end - connection->begin;
    size_t taken = there < length ? there : length;
    connection->begin += taken;
    length -= taken;
  }
}

/* Reads one whole reply and drops its body. Returns its status. */
static inline int read_reply(struct connection *connection) {
  const char *line = read_line(connection);
  if (strncmp(line, "HTTP/1.1 ", 9) != 0) die_plain("not a reply of HTTP/1.1");
  int status = atoi(line + 9);
  int chunked = 0;
  size_t length = 0;
  while (*(line = read_line(connection)) != '\0') {
    if (strncasecmp(line, "transfer-encoding: chunked", 26) == 0) chunked = 1;
    if (strncasecmp(line, "content-length: ", 16) == 0) length = strtoul(line + 16, NULL, 10);
  }
  if (!chunked) {
    skip(connection, length);
    return status;
  }
  while ((length = strtoul(read_line(connection), NULL, 16)) > 0) skip(connection, length + 2);
  read_line(connection);
  return status;
}

/* A whole request; the caller frees it. */
static inline char *make_request(const char *method, const char *path, const char *headers,
                                 const char *body) {
  char *text = NULL;
  const char *type = *body == '\0' ? "" : "content-type: application/json\r\n";
  if (asprintf(&text, "%s %s HTTP/1.1\r\nhost: guestd\r\n%s%scontent-length: %zu\r\n\r\n%s", method,
               path, type, headers, strlen(body), body) < 0)
    die("asprintf");
  return text;
}

#endif
