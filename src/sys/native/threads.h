/* Threads for work that may block. No Node-API in here. */
#ifndef GUESTD_THREADS_H
#define GUESTD_THREADS_H

/*
 * Runs work(argument) on another thread, with all signals blocked, including the two that glibc uses itself: a child
 * inherits the mask. The work may block without limit. Returns 0, or the errno of pthread_create(3).
 */
int gd_run_on_thread(void (*work)(void *), void *argument);

#endif
