/* Which children of this process the addon itself waits for. Event loop only. */
#ifndef GUESTD_CHILDREN_H
#define GUESTD_CHILDREN_H

#include <stdbool.h>
#include <sys/types.h>

/* The child of a launch that is not reported yet: launch.c. */
bool gd_is_launching(pid_t pid);

/* A child whose exit is watched: exit.c. */
bool gd_is_watched(pid_t pid);

#endif
