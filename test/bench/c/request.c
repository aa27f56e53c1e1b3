/*
 * request ADDRESS RUNS WARMUPS AT_ONCE METHOD PATH [BODY]: times requests, each from its first byte
 * to the last of its reply, over AT_ONCE connections that are kept alive, a thread each.
 */
#define _GNU_SOURCE
#include "crew.h"
#include "reply.h"

static const char *address;
static char *text;
static size_t text_length;

static void connect_worker(struct worker *worker) {
  struct connection *connection = calloc(1, sizeof *connection);
  connection->fd = connect_address(address);
  worker->own = connection;
}

static void ask(struct worker *worker) {
  struct connection *connection = worker->own;
  write_all(connection->fd, text, text_length);
  int status = read_reply(connection);
  if (status / 100 == 2) return;
  fprintf(stderr, "the reply's status is %d\n", status);
  exit(1);
}

int main(int argc, char **argv) {
  if (argc < 7) die_plain("usage: request ADDRESS RUNS WARMUPS AT_ONCE METHOD PATH [BODY]");
  address = argv[1];
  text = make_request(argv[5], argv[6], "", argc > 7 ? argv[7] : "");
  text_length = strlen(text);
  struct crew crew = {
      .runs = number(argv[2]),
      .warmups = number(argv[3]),
      .at_once = number(argv[4]),
      .prepare = connect_worker,
      .act = ask,
  };
  run_crew(&crew);
  return 0;
}
