/*
 * cgkill CGROUP PROCESSES PROGRAM [ARGUMENT…]: the least that ending a tree can cost. Makes the
 * cgroup v2 directory, starts the program in it, waits until so many processes are there, and
 * prints the nanoseconds from the write to cgroup.kill until cgroup.events says `populated 0`.
 */
#define _GNU_SOURCE
#include "common.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* How often a growing tree is counted, in microseconds. */
#define COUNT_EVERY_US 10000
/* The last of them may still be on their way to exec. */
#define SETTLE_US 300000
#define FILE_BYTES (64 * 1024)

static char text[FILE_BYTES + 1];

static const char *read_at(int fd) {
  ssize_t got = pread(fd, text, FILE_BYTES, 0);
  if (got < 0) die("pread");
  text[got] = '\0';
  return text;
}

static int open_in(int directory, const char *name, int flags) {
  int fd = openat(directory, name, flags | O_CLOEXEC);
  if (fd < 0) die(name);
  return fd;
}

static long lines(const char *from) {
  long count = 0;
  for (; *from != '\0'; from++) count += *from == '\n';
  return count;
}

static void start(int directory, char **command) {
  pid_t pid = fork();
  if (pid < 0) die("fork");
  if (pid > 0) return;
  write_all(open_in(directory, "cgroup.procs", O_WRONLY), "0", 1);
  setsid();
  execv(command[0], command);
  die("exec");
}

/* cgroup.events wakes poll(2) with POLLPRI when a value in it changes (cgroup-v2.rst). */
static int64_t kill_until_empty(int directory) {
  int events = open_in(directory, "cgroup.events", O_RDONLY);
  int killer = open_in(directory, "cgroup.kill", O_WRONLY);
  struct pollfd changed = {.fd = events, .events = POLLPRI};
  int64_t from = now_ns();
  write_all(killer, "1", 1);
  while (strstr(read_at(events), "populated 1") != NULL) poll(&changed, 1, -1);
  return now_ns() - from;
}

int main(int argc, char **argv) {
  if (argc < 4) die_plain("usage: cgkill CGROUP PROCESSES PROGRAM [ARGUMENT...]");
  if (mkdir(argv[1], 0755) != 0) die("mkdir");
  int directory = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) die("open");
  start(directory, argv + 3);
  int procs = open_in(directory, "cgroup.procs", O_RDONLY);
  while (lines(read_at(procs)) < number(argv[2])) usleep(COUNT_EVERY_US);
  usleep(SETTLE_US);
  int64_t took = kill_until_empty(directory);
  close(procs);
  while (wait(NULL) > 0) continue;
  if (rmdir(argv[1]) != 0) die("rmdir");
  printf("ns %lld\n", (long long)took);
  return 0;
}
