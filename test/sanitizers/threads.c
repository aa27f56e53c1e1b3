/*
 * threads LAUNCHES: runs so many launches on the threads of the addon, without Node, for ThreadSanitizer. This thread
 * stands for the event loop: it starts launches, reads their pid, abandons some, takes the finished ones, and waits for
 * the children. Prints how many ended in each way, such as "ran 5 abandoned 2 exec 2 precheck 2", or fails.
 */
#define _GNU_SOURCE
#include "launch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { AT_ONCE = 8, WAIT_MS = 60000 };

static int woken;
static struct { int ran, abandoned, exec, precheck; } count;

static void die(const char *what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(1);
}

/* Called on the threads. */
static void wake(void) {
  uint64_t one = 1;
  if (write(woken, &one, sizeof one) != sizeof one) die("write");
}

static int dev_null(void) {
  int fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
  return fd < 0 ? (die("fcntl"), -1) : fd;
}

/* A part of them fails, in the child and before it. */
static struct gd_launch *start(int number) {
  static char *argv[] = {"sh", "-c", "sleep 0.01", NULL};
  static char *envp[] = {NULL}, *shell[] = {"/bin/sh", NULL}, *missing[] = {"/bin/missing", NULL};
  struct gd_launch *launch = calloc(1, sizeof *launch);
  if (launch == NULL || gd_launch_init(launch) != 0) die("init");
  launch->plan.argv = argv;
  launch->plan.envp = envp;
  launch->plan.paths = number % 7 == 3 ? missing : shell;
  launch->plan.cwd = number % 7 == 5 ? "/missing" : "/";
  launch->plan.oom_score_adj = "0";
  launch->plan.stdio[0] = -1;
  launch->plan.stdio[1] = dev_null();
  launch->plan.stdio[2] = dev_null();
  launch->plan.nofile_soft = launch->plan.nofile_hard = 64;
  errno = gd_launch_start(launch);
  if (errno != 0) die("start");
  return launch;
}

static void finish(struct gd_launch *launch) {
  const char *stage = launch->state.stage;
  if (stage != NULL) {
    if (strcmp(stage, "exec") == 0) count.exec++;
    else if (strcmp(stage, "precheck") == 0) count.precheck++;
    else die(stage);
  } else if (launch->state.pidfd < 0) {
    if (!launch->abandoned) die("no pidfd");
    count.abandoned++;
  } else {
    int status = 0;
    if (waitpid(launch->state.pid, &status, 0) != launch->state.pid) die("waitpid");
    /* Abandoned after its exec, it may have been killed. */
    if (status != 0 && !launch->abandoned) die("status");
    close(launch->state.pidfd);
    count.ran++;
  }
  free(launch->interpreter);
  pthread_mutex_destroy(&launch->lock);
  free(launch);
}

static int take_finished(struct gd_launch **running) {
  struct pollfd ready = {.fd = woken, .events = POLLIN};
  uint64_t times = 0;
  int taken = 0;
  if (poll(&ready, 1, WAIT_MS) != 1 || read(woken, &times, sizeof times) != sizeof times) die("wait");
  for (struct gd_launch *launch = gd_launch_take_finished(), *next; launch != NULL; launch = next, taken++) {
    next = launch->next;
    for (int i = 0; i < AT_ONCE; i++)
      if (running[i] == launch) running[i] = NULL;
    finish(launch);
  }
  return taken;
}

int main(int argc, char **argv) {
  int wanted = argc == 2 ? atoi(argv[1]) : 0, started = 0, finished = 0;
  struct gd_launch *running[AT_ONCE] = {NULL};
  woken = eventfd(0, EFD_CLOEXEC);
  if (woken < 0) die("eventfd");
  gd_launch_on_finished(wake);
  while (finished < wanted) {
    for (int i = 0; i < AT_ONCE && started < wanted; i++)
      if (running[i] == NULL) running[i] = start(started++);
    for (int i = 0; i < AT_ONCE; i++) {
      if (running[i] == NULL) continue;
      pid_t pid = running[i]->state.pid;
      /* Some before the clone, some after it. */
      if ((started + i) % 5 == 0 && (pid == 0 || i % 2 == 0)) gd_launch_abandon(running[i]);
    }
    finished += take_finished(running);
  }
  printf("ran %d abandoned %d exec %d precheck %d\n", count.ran, count.abandoned, count.exec, count.precheck);
  return 0;
}
