"""Carries frames between two namespaces, each way after a time: for kernels that cannot make packets wait.

Arguments: the two namespaces, and milliseconds. Makes a card named `far` in each, and says so in a line.
"""

import collections
import ctypes
import fcntl
import os
import select
import struct
import sys
import time

TUNSETIFF, IFF_TAP, IFF_NO_PI, CLONE_NEWNET = 0x400454CA, 0x0002, 0x1000, 0x40000000
# Frames on their way in one direction; beyond it they are lost, as in a router.
MOST = 20_000


def card(namespace):
    place = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    if ctypes.CDLL(None, use_errno=True).setns(place, CLONE_NEWNET) != 0:
        sys.exit(f"setns: {os.strerror(ctypes.get_errno())}")
    os.close(place)
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", b"far", IFF_TAP | IFF_NO_PI))
    return tap


def main():
    one, other, delay = card(sys.argv[1]), card(sys.argv[2]), float(sys.argv[3]) / 1000
    onward = {one: other, other: one}
    waiting = {one: collections.deque(), other: collections.deque()}
    print("ready", flush=True)
    while True:
        due = min((frames[0][0] for frames in waiting.values() if frames), default=None)
        pause = None if due is None else max(0, due - time.monotonic())
        for tap in select.select([one, other], [], [], pause)[0]:
            for _ in range(64):
                try:
                    frame = os.read(tap, 65536)
                except OSError:
                    break
                if len(waiting[tap]) < MOST:
                    waiting[tap].append((time.monotonic() + delay, frame))
        now = time.monotonic()
        for tap, frames in waiting.items():
            while frames and frames[0][0] <= now:
                try:
                    os.write(onward[tap], frames.popleft()[1])
                except OSError:
                    pass


main()
