/* uid: prints the effective user id. As a setuid file of root it prints 0 where setuid counts. */
#include <stdio.h>
#include <unistd.h>

int main(void) {
  printf("%u\n", (unsigned)geteuid());
  return 0;
}
