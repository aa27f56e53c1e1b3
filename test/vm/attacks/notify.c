/* notify COUNT: sends so many messages to the service manager, which it logs and does not take. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char **argv) {
  static const char path[] = "/run/systemd/notify", text[] = "READY=1";
  struct sockaddr_un to = {.sun_family = AF_UNIX};
  memcpy(to.sun_path, path, sizeof path);
  long count = argc > 1 ? atol(argv[1]) : 0, sent = 0;
  int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
  if (fd < 0) return 1;
  for (; sent < count; sent++)
    if (sendto(fd, text, sizeof text - 1, 0, (struct sockaddr *)&to, sizeof to) < 0) break;
  printf("%ld\n", sent);
  /* The manager reads the credentials of the sender while it lives. */
  sleep(1);
  return 0;
}
