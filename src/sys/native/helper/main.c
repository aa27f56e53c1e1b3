/*
 * guestd-helper COMMAND ARGUMENT…: exit code 0, or 1 and a line "CALL ERRNO text" on stderr, or 2 for an unknown
 * command or a wrong number of arguments. guestd starts it with a time limit. It is not meant for people.
 */
#define _GNU_SOURCE
#include "helper.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

/* A command with any number of arguments. */
enum { ANY = -1 };

static const struct {
  const char *name;
  int arguments;
  int (*run)(char **args);
} commands[] = {
    {"read-head", 1, cmd_read_head},
    {"read-tail", 1, cmd_read_tail},
    {"open-exclusive", 1, cmd_open_exclusive},
    {"mount", 4, cmd_mount},
    {"remount", 2, cmd_remount},
    {"probe", 1, cmd_probe},
    {"unmount", 1, cmd_unmount},
    {"sync", 0, cmd_sync},
    {"shutdown", 1, cmd_shutdown},
    {"trim", 1, cmd_trim},
    {"read-mark", 2, cmd_read_mark},
    {"write-mark", 3, cmd_write_mark},
    {"attach", 1, cmd_attach},
    {"detach", 1, cmd_detach},
    {"loops", 1, cmd_loops},
    {"backed", 0, cmd_backed},
    {"usage", 1, cmd_usage},
    {"largest", 3, cmd_largest},
    {"stats", 0, cmd_stats},
    {"own", 1, cmd_own},
    {"release", ANY, cmd_release},
    {"drain", ANY, cmd_drain},
    {"enter", ANY, cmd_enter},
    {"ipc", ANY, cmd_ipc},
    {"clear", ANY, cmd_clear},
    {"power", 1, cmd_power},
};

/*
 * A service manager may signal all processes of its unit at once. A mount that was interrupted would stay, unknown to
 * guestd. Only SIGKILL ends a command early.
 */
static void ignore_stop_signals(void) {
  const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) signal(signals[i], SIG_IGN);
}

int main(int argc, char **argv) {
  ignore_stop_signals();
  for (size_t i = 0; argc > 1 && i < sizeof commands / sizeof *commands; i++) {
    if (strcmp(argv[1], commands[i].name) == 0 && (commands[i].arguments == ANY || argc - 2 == commands[i].arguments))
      return commands[i].run(argv + 2);
  }
  fprintf(stderr, "usage EINVAL unknown command or wrong number of arguments\n");
  return 2;
}
