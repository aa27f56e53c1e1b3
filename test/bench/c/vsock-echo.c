/*
 * vsock-echo PORT: in a guest, echoes what comes over vsock, one connection after another. Prints
 * "listening" once it is.
 */
#define _GNU_SOURCE
#include "common.h"

#include <linux/vm_sockets.h>

#define ECHO_BYTES 4096

int main(int argc, char **argv) {
  if (argc != 2) die_plain("usage: vsock-echo PORT");
  struct sockaddr_vm address = {
      .svm_family = AF_VSOCK,
      .svm_cid = VMADDR_CID_ANY,
      .svm_port = (unsigned)number(argv[1]),
  };
  int listener = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listener < 0) die("socket");
  if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0) die("bind");
  if (listen(listener, 1) != 0) die("listen");
  puts("listening");
  fflush(stdout);
  for (;;) {
    char bytes[ECHO_BYTES];
    ssize_t got;
    int peer = accept(listener, NULL, NULL);
    if (peer < 0) die("accept");
    while ((got = read(peer, bytes, sizeof bytes)) > 0) write_all(peer, bytes, (size_t)got);
    close(peer);
  }
}
