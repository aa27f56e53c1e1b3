/* Times one action many times over, on several threads at once. */
#ifndef BENCH_CREW_H
#define BENCH_CREW_H

#include "common.h"

#include <pthread.h>

struct worker;

struct crew {
  long runs;    /* in all, shared out evenly */
  long warmups; /* of each worker, not counted */
  long at_once;
  void (*prepare)(struct worker *worker);
  void (*act)(struct worker *worker);
};

struct worker {
  const struct crew *crew;
  void *own; /* the action's */
  pthread_t thread;
  pthread_barrier_t *start;
  int64_t *times;
};

static void *work(void *argument) {
  struct worker *worker = argument;
  const struct crew *crew = worker->crew;
  long share = crew->runs / crew->at_once;
  if (crew->prepare != NULL) crew->prepare(worker);
  for (long run = 0; run < crew->warmups; run++) crew->act(worker);
  pthread_barrier_wait(worker->start);
  for (long run = 0; run < share; run++) {
    int64_t from = now_ns();
    crew->act(worker);
    worker->times[run] = now_ns() - from;
  }
  return NULL;
}

/* Prints each duration in nanoseconds, a line each, and at last "wall NS" of all together. */
static void run_crew(const struct crew *crew) {
  long share = crew->runs / crew->at_once;
  if (share < 1) die_plain("fewer runs than workers");
  struct worker *workers = calloc((size_t)crew->at_once, sizeof *workers);
  pthread_barrier_t start;
  pthread_barrier_init(&start, NULL, (unsigned)crew->at_once + 1);
  for (long i = 0; i < crew->at_once; i++) {
    workers[i].crew = crew;
    workers[i].start = &start;
    workers[i].times = calloc((size_t)share, sizeof *workers[i].times);
    if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0) die_plain("no thread");
  }
  pthread_barrier_wait(&start);
  int64_t from = now_ns();
  for (long i = 0; i < crew->at_once; i++) pthread_join(workers[i].thread, NULL);
  int64_t wall = now_ns() - from;
  for (long i = 0; i < crew->at_once; i++)
    for (long run = 0; run < share; run++) printf("%lld\n", (long long)workers[i].times[run]);
  printf("wall %lld\n", (long long)wall);
}

#endif
