/*
 * ping ADDRESS RUNS WARMUPS: the round trip of one byte to something that echoes. Prints each in
 * nanoseconds, a line each, and "wall NS".
 */
#define _GNU_SOURCE
#include "crew.h"

static int fd;

static void echo(struct worker *worker) {
  (void)worker;
  char byte = 'x';
  write_all(fd, &byte, 1);
  if (read(fd, &byte, 1) != 1) die_plain("no echo");
}

int main(int argc, char **argv) {
  if (argc != 4) die_plain("usage: ping ADDRESS RUNS WARMUPS");
  fd = connect_address(argv[1]);
  struct crew crew = {.runs = number(argv[2]), .warmups = number(argv[3]), .at_once = 1, .act = echo};
  run_crew(&crew);
  return 0;
}
