"""A service manager that keeps descriptors: FDSTORE of sd_pid_notify_with_fds(3).

fd-store.py hold NOTIFY STORE: hears sd_notify(3) at the path NOTIFY, and gives what it keeps to
each client of the socket STORE. Prints "listening", then each change as a line: "+name", "-name".
fd-store.py become STORE PROGRAM ARGUMENT...: becomes the program, with what is kept (sd_listen_fds(3)).
"""
import os
import select
import socket
import sys

FIRST_INHERITED_FD = 3
MAX_FDS = 16


def hold(notify, store):
    kept = {}
    ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    ear.bind(notify)
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    door.bind(store)
    door.listen(8)
    print("listening", flush=True)
    while True:
        for ready in select.select([ear, door], [], [])[0]:
            if ready is ear:
                hear(ear, kept)
                continue
            peer, _ = door.accept()
            socket.send_fds(peer, [":".join(kept).encode() or b":"], list(kept.values()))
            peer.close()


def hear(ear, kept):
    data, fds, _, _ = socket.recv_fds(ear, 65536, MAX_FDS)
    values = dict(line.split("=", 1) for line in data.decode().splitlines())
    name = values.get("FDNAME", "stored")
    if values.get("FDSTORE") == "1":
        kept[name] = fds.pop()
        print("+" + name, flush=True)
    if values.get("FDSTOREREMOVE") == "1" and name in kept:
        os.close(kept.pop(name))
        print("-" + name, flush=True)
    # A barrier is answered by closing what came with it.
    for fd in fds:
        os.close(fd)


def become(store, program):
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    door.connect(store)
    data, fds, _, _ = socket.recv_fds(door, 65536, MAX_FDS)
    door.close()
    copies = [os.dup(fd) for fd in fds]
    for fd in fds:
        os.close(fd)
    # Away from the places that they are to have.
    high = [os.dup2(fd, 100 + place, inheritable=False) for place, fd in enumerate(copies)]
    for place, fd in enumerate(high):
        os.dup2(fd, FIRST_INHERITED_FD + place, inheritable=True)
    environment = dict(
        os.environ, LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(high)), LISTEN_FDNAMES=data.decode()
    )
    os.execvpe(program[0], program, environment)


if sys.argv[1] == "hold":
    hold(sys.argv[2], sys.argv[3])
else:
    become(sys.argv[2], sys.argv[3:])
