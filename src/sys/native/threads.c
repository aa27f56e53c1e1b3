/*
 * Threads for work that may block; see threads.h for the contract. One idle thread waits for the next job: waking it is
 * cheaper than creating another.
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

/* A launch needs the 32 KiB of its child and some KiB of its own. */
#define STACK_BYTES (128 * 1024)

struct job {
  void (*work)(void *);
  void *argument;
};

/* At most one thread is idle; a second thread that finishes exits. */
static struct {
  pthread_mutex_t lock;
  pthread_cond_t job_added;
  bool is_idle; /* a thread waits, and has not been given a job */
  bool has_job; /* `job` is for the waiting thread */
  struct job job;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .job_added = PTHREAD_COND_INITIALIZER};

/* False when another thread is idle already. */
static bool wait_for_job(struct job *job) {
  pthread_mutex_lock(&pool.lock);
  bool stays = !pool.is_idle;
  if (stays) {
    pool.is_idle = true;
    /* Another thread may take the job before the signalled one wakes; that one keeps waiting. */
    while (!pool.has_job) pthread_cond_wait(&pool.job_added, &pool.lock);
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
  /* pthread_create unblocks the cancellation signal of glibc. */
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, sizeof all);
  do job.work(job.argument);
  while (wait_for_job(&job));
  return NULL;
}

/* False when no thread is idle. */
static bool give_to_idle_thread(struct job job) {
  pthread_mutex_lock(&pool.lock);
  bool given = pool.is_idle;
  if (given) {
    pool.is_idle = false;
    pool.has_job = true;
    pool.job = job;
    pthread_cond_signal(&pool.job_added);
  }
  pthread_mutex_unlock(&pool.lock);
  return given;
}

static int start_thread(struct job *job) {
  uint64_t all = ~0ULL, before = 0;
  pthread_attr_t attributes;
  pthread_t thread;
  int error = pthread_attr_init(&attributes);
  if (error != 0) return error;
  error = pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  if (error == 0) error = pthread_attr_setstacksize(&attributes, STACK_BYTES);
  if (error == 0) {
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof all);
    error = pthread_create(&thread, &attributes, run_jobs, job);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, sizeof all);
  }
  pthread_attr_destroy(&attributes);
  return error;
}

int gd_run_on_thread(void (*work)(void *), void *argument) {
  struct job job = {.work = work, .argument = argument};
  if (give_to_idle_thread(job)) return 0;
  struct job *first = malloc(sizeof *first);
  if (first == NULL) return ENOMEM;
  *first = job;
  int error = start_thread(first);
  if (error != 0) free(first);
  return error;
}
