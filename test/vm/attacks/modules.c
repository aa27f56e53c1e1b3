/*
 * modules: asks the kernel in all ways that any user has for what it may load a module for: families of sockets and
 * their protocols, congestion controls, algorithms, devices, and file systems, those in a user namespace.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/if_alg.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FAMILIES = 46, NETLINKS = 32 };

static void sockets(void) {
  const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET, SOCK_DCCP};
  const int protocols[] = {0, IPPROTO_SCTP, IPPROTO_DCCP, IPPROTO_UDPLITE, IPPROTO_MPTCP};
  for (int family = 0; family < FAMILIES; family++)
    for (size_t type = 0; type < sizeof types / sizeof *types; type++)
      for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++)
        close(socket(family, types[type], protocols[i]));
  for (int protocol = 0; protocol < NETLINKS; protocol++)
    close(socket(AF_NETLINK, SOCK_RAW, protocol));
}

static void options(void) {
  const char *controls[] = {"bbr", "vegas", "westwood", "htcp", "dctcp"};
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  for (size_t i = 0; i < sizeof controls / sizeof *controls; i++)
    setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, controls[i], strlen(controls[i]));
  setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", 3);
  close(fd);
}

static void algorithms(void) {
  struct sockaddr_alg address = {.salg_family = AF_ALG, .salg_type = "hash", .salg_name = "wp512"};
  int fd = socket(AF_ALG, SOCK_SEQPACKET, 0);
  if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0) perror("af_alg");
  close(fd);
}

static void devices(void) {
  const char *paths[] = {"/dev/fuse", "/dev/net/tun", "/dev/cuse", "/dev/ppp", "/dev/vhost-vsock"};
  for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) close(open(paths[i], O_RDWR));
}

static void file_systems(void) {
  const char *types[] = {"xfs", "btrfs", "vfat", "isofs", "udf", "nfs", "nfs4", "cifs", "ceph", "fuse", "erofs",
    "exfat", "sysv", "romfs", "orangefs", "zonefs", "binfmt_misc", "configfs", "virtiofs", "efivarfs", "9p"};
  if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) perror("unshare");
  for (size_t i = 0; i < sizeof types / sizeof *types; i++) mount("none", "/tmp", types[i], 0, NULL);
}

int main(void) {
  sockets();
  options();
  algorithms();
  devices();
  file_systems();
  return 0;
}
