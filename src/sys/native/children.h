/* Which children of this process have an owner in the addon. Event loop only. */
#ifndef GUESTD_CHILDREN_H
#define GUESTD_CHILDREN_H

#include <stdbool.h>
#include <sys/types.h>

/* It belongs to a launch whose outcome is not reported yet: launch.c. */
bool gd_is_launching(pid_t pid);

/* Its exit is watched: exit.c. */
bool gd_is_watched(pid_t pid);

#endif
