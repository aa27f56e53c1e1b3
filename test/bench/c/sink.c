/*
 * Reads a Unix socket to its end and counts: what a stream costs when its reader costs nothing.
 *
 *   sink command PROGRAM [ARGUMENT…]          what the program writes to a socket as its stdout
 *   sink request ADDRESS ACCEPT METHOD PATH [BODY]    the reply to one request, as it is on the wire
 *
 * Prints "bytes N", "ns N" (from before the start of the program or the request to the end of the
 * socket), and "tail " with the last bytes, in which everything unprintable is a dot.
 */
#define _GNU_SOURCE
#include "reply.h"

#include <ctype.h>
#include <spawn.h>
#include <sys/wait.h>

#define READ_BYTES (256 * 1024)
/* Holds the last two frames of a command and the end of the chunked body. */
#define TAIL_BYTES 1024

extern char **environ;

static char buffer[TAIL_BYTES + READ_BYTES];

static void count(int fd, int64_t from) {
  uint64_t total = 0;
  size_t tail = 0;
  for (;;) {
    ssize_t got = read(fd, buffer + tail, READ_BYTES);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) die("read");
    if (got == 0) break;
    total += (uint64_t)got;
    size_t there = tail + (size_t)got;
    tail = there < TAIL_BYTES ? there : TAIL_BYTES;
    memmove(buffer, buffer + there - tail, tail);
  }
  int64_t took = now_ns() - from;
  for (size_t i = 0; i < tail; i++)
    if (!isprint((unsigned char)buffer[i])) buffer[i] = '.';
  printf("bytes %llu\nns %lld\ntail %.*s\n", (unsigned long long)total, (long long)took, (int)tail,
         buffer);
}

static void from_command(char **command) {
  int ends[2];
  pid_t pid;
  int status;
  posix_spawn_file_actions_t actions;
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) die("socketpair");
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  int64_t from = now_ns();
  int error = posix_spawn(&pid, command[0], &actions, NULL, command, environ);
  if (error != 0) {
    errno = error;
    die("posix_spawn");
  }
  close(ends[1]);
  count(ends[0], from);
  if (waitpid(pid, &status, 0) != pid) die("waitpid");
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) die_plain("the command failed");
}

static void from_request(char **words, const char *body) {
  char *headers = NULL;
  if (asprintf(&headers, "connection: close\r\naccept: %s\r\n", words[1]) < 0) die("asprintf");
  char *text = make_request(words[2], words[3], headers, body);
  int64_t from = now_ns();
  int fd = connect_address(words[0]);
  write_all(fd, text, strlen(text));
  count(fd, from);
}

int main(int argc, char **argv) {
  if (argc > 2 && strcmp(argv[1], "command") == 0) from_command(argv + 2);
  else if (argc > 5 && strcmp(argv[1], "request") == 0) from_request(argv + 2, argc > 6 ? argv[6] : "");
  else die_plain("usage: sink command PROGRAM... | sink request ADDRESS ACCEPT METHOD PATH [BODY]");
  return 0;
}
