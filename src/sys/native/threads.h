#ifndef GUESTD_THREADS_H
#define GUESTD_THREADS_H

/*
 * Runs work(argument) on a thread of its own, with all signals blocked, glibc's own two included: a child
 * inherits the mask. The work may be stuck for as long as it likes. Returns 0, or the errno of pthread_create(3).
 */
int gd_run_on_thread(void (*work)(void *), void *argument);

#endif
