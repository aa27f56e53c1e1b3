/*
 * Threads for work that may be stuck. One that is done waits for more: to wake it costs less than to make
 * another.
 */
#define _GNU_SOURCE
#include "threads.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define STACK_BYTES (128 * 1024)

struct job {
  void (*work)(void *);
  void *argument;
};

/* One thread waits at most: a second one that is done ends. */
static struct {
  pthread_mutex_t lock;
  pthread_cond_t given;
  bool is_waiting; /* and no job is meant for it yet */
  bool has_job;    /* `job` is to be taken */
  struct job job;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .given = PTHREAD_COND_INITIALIZER};

/* False: another one waits already. */
static bool wait_for_job(struct job *job) {
  pthread_mutex_lock(&pool.lock);
  bool stays = !pool.is_waiting;
  if (stays) {
    pool.is_waiting = true;
    /* What was given to one that has not woken up yet is taken from it: it goes on waiting instead. */
    while (!pool.has_job) pthread_cond_wait(&pool.given, &pool.lock);
    pool.has_job = false;
    *job = pool.job;
  }
  pthread_mutex_unlock(&pool.lock);
  return stays;
}

static void *run_jobs(void *argument) {
  struct job job = *(struct job *)argument;
  free(argument);
  uint64_t all = ~0ULL;
  /* pthread_create lets glibc's cancellation signal through again. */
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, sizeof all);
  do job.work(job.argument);
  while (wait_for_job(&job));
  return NULL;
}

static bool give_to_waiting(struct job job) {
  pthread_mutex_lock(&pool.lock);
  bool given = pool.is_waiting;
  if (given) {
    pool.is_waiting = false;
    pool.has_job = true;
    pool.job = job;
    pthread_cond_signal(&pool.given);
  }
  pthread_mutex_unlock(&pool.lock);
  return given;
}

static int start_thread(struct job *job) {
  uint64_t all = ~0ULL, before = 0;
  pthread_attr_t attributes;
  pthread_t thread;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, STACK_BYTES);
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof all);
  int error = pthread_create(&thread, &attributes, run_jobs, job);
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, sizeof all);
  pthread_attr_destroy(&attributes);
  return error;
}

int gd_run_on_thread(void (*work)(void *), void *argument) {
  struct job job = {.work = work, .argument = argument};
  if (give_to_waiting(job)) return 0;
  struct job *first = malloc(sizeof *first);
  if (first == NULL) return ENOMEM;
  *first = job;
  int error = start_thread(first);
  if (error != 0) free(first);
  return error;
}
