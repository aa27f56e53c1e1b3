"""A service manager's ear, sd_notify(3): prints each datagram as a line of JSON.

notify-socket.py ADDRESS: a path, or "@NAME" for an abstract one. Descriptors that come along are
identified by their inode and closed.
"""
import array
import json
import os
import socket
import struct
import sys

MAX_FDS = 16

address = sys.argv[1]
ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
ear.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
ear.bind("\0" + address[1:] if address.startswith("@") else address)
print(json.dumps({"listening": True}), flush=True)
while True:
    data, controls, _, _ = ear.recvmsg(65536, socket.CMSG_SPACE(12) + socket.CMSG_SPACE(4 * MAX_FDS))
    fds = array.array("i")
    pid = None
    for level, kind, content in controls:
        if kind == socket.SCM_RIGHTS:
            fds.frombytes(content)
        elif kind == socket.SCM_CREDENTIALS:
            pid = struct.unpack("3i", content)[0]
    inodes = [os.fstat(fd).st_ino for fd in fds]
    for fd in fds:
        os.close(fd)
    print(json.dumps({"text": data.decode(), "pid": pid, "inodes": inodes}), flush=True)
