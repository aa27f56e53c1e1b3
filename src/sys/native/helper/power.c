/* power poweroff|reboot: powers off or reboots the machine at once (reboot(2)). */
#define _GNU_SOURCE
#include "helper.h"

#include <errno.h>
#include <string.h>
#include <sys/reboot.h>
#include <unistd.h>

int cmd_power(char **args) {
  int how = 0;
  if (strcmp(args[0], "poweroff") == 0) how = RB_POWER_OFF;
  else if (strcmp(args[0], "reboot") == 0) how = RB_AUTOBOOT;
  else return fail("reboot", EINVAL);
  return reboot(how) != 0 ? fail("reboot", errno) : 0;
}
