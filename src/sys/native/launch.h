/* One launch: what its thread and the event loop share. No Node-API in here. */
#ifndef GUESTD_LAUNCH_H
#define GUESTD_LAUNCH_H

#include "clone.h"

#include <pthread.h>
#include <stdbool.h>

/*
 * The event loop fills in the plan and the cgroup, and frees all of it after the launch has finished. In between the
 * thread owns every field, except that both use `state` (atomic), `abandoned` and `reaped` (under `lock`).
 */
struct gd_launch {
  struct gd_child_plan plan;
  struct gd_child_state state;
  double start_ticks;   /* start time of a running child, see proc_stat.h; 0 when unknown */
  char *interpreter;    /* missing, which made exec fail; or NULL. Allocated by the thread */
  char *cgroup_path;    /* the cgroup to create and to start the child in; NULL on a machine without cgroups */
  char **cgroup_writes; /* name, value, name, value, …, NULL: limits, written before the child starts */
  pthread_mutex_t lock;
  bool abandoned;
  bool reaped;
  struct gd_launch *next; /* in the list of finished launches */
};

/* Prepares a zeroed launch. Returns 0, or an errno: then there is nothing to free. */
int gd_launch_init(struct gd_launch *launch);

/*
 * Runs the launch on a thread of its own. The thread closes the descriptors of the plan. Returns 0, or the errno of
 * pthread_create(3): then no thread has started, and the descriptors are open.
 */
int gd_launch_start(struct gd_launch *launch);

/* Gives the launch up: a child that it has started, or still starts, is killed. Does not wait. */
void gd_launch_abandon(struct gd_launch *launch);

/*
 * Sets the function that a thread calls after each finished launch, to wake the event loop. Call it before the first
 * launch.
 */
void gd_launch_on_finished(void (*wake)(void));

/* Takes all finished launches, linked by `next`; NULL when there are none. */
struct gd_launch *gd_launch_take_finished(void);

#endif
