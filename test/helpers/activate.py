"""Becomes a program that inherits a listening socket: sd_listen_fds(3).

activate.py PATH PROGRAM ARGUMENT...: the socket is a Unix one at PATH.
"""
import os
import socket
import sys

FIRST_INHERITED_FD = 3

path, program = sys.argv[1], sys.argv[2:]
sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
sock.bind(path + ".new")
sock.listen(64)
# Any process that can reach the path may connect.
os.rename(path + ".new", path)
# The descriptor may be the wanted one already, and then dup2 would leave it close-on-exec.
copy = os.dup(sock.fileno())
os.dup2(copy, FIRST_INHERITED_FD, inheritable=True)
os.set_inheritable(FIRST_INHERITED_FD, True)
environment = dict(os.environ, LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="api")
os.execvpe(program[0], program, environment)
