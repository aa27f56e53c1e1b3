/* Signals as the system calls take them. glibc's wrappers refuse 32 and 33, which glibc keeps for its threads. */
#ifndef GUESTD_KERNEL_SIGNAL_H
#define GUESTD_KERNEL_SIGNAL_H

#include <stdint.h>

/* signal(7): the largest signal number of the kernel. */
#define GD_LAST_SIGNAL 64

/* Size of the kernel's signal set, in bytes. */
#define GD_SIGSET_BYTES 8

/* The kernel's struct sigaction on x86_64; glibc's has another layout. */
struct gd_kernel_sigaction {
  void (*handler)(int);
  unsigned long flags;
  void *restorer;
  uint64_t mask;
};

#endif
