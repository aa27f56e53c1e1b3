/*
 * spawn RUNS WARMUPS AT_ONCE PROGRAM [ARGUMENT…]: the least that a run can cost. Each run is one
 * posix_spawn(3) of the program and the waitpid(2) of it; AT_ONCE threads do so at the same time.
 */
#define _GNU_SOURCE
#include "crew.h"

#include <spawn.h>
#include <sys/wait.h>

static char **command;
extern char **environ;

static void spawn_and_wait(struct worker *worker) {
  (void)worker;
  pid_t pid;
  int status;
  int error = posix_spawn(&pid, command[0], NULL, NULL, command, environ);
  if (error != 0) {
    errno = error;
    die("posix_spawn");
  }
  if (waitpid(pid, &status, 0) != pid) die("waitpid");
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) die_plain("the command failed");
}

int main(int argc, char **argv) {
  if (argc < 5) die_plain("usage: spawn RUNS WARMUPS AT_ONCE PROGRAM [ARGUMENT...]");
  command = argv + 4;
  struct crew crew = {
      .runs = number(argv[1]),
      .warmups = number(argv[2]),
      .at_once = number(argv[3]),
      .act = spawn_and_wait,
  };
  run_crew(&crew);
  return 0;
}
