#!/usr/bin/env python3
"""tests/lifecycle/drain.py SERVER [SOCKETS [GRACE_S]] - measures how even the drain is.

Prints the largest share of Closes in a quarter of a second against the even rate over the grace
period, and how long after the last socket the process ended. A tool: it judges nothing.
"""
import os
import sys
import time

from bulk import Crowd, Server


def main():
    sockets = int(sys.argv[2]) if len(sys.argv) > 2 else 5000
    grace = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    server = Server(os.path.abspath(sys.argv[1]), shutdown_grace_period=grace)
    crowd = Crowd(server.port)
    crowd.open(sockets)
    begin = time.monotonic()
    server.process.terminate()
    crowd.until(lambda: len(crowd.closes) + crowd.lost == sockets)
    status = server.process.wait(timeout=60)
    end = time.monotonic()
    at = sorted(t - begin for t, _ in crowd.closes)
    slots = [0] * (int(at[-1] * 4) + 1)
    for t in at:
        slots[int(t * 4)] += 1
    even = sockets / grace / 4
    print("status %d, %d lost, first %.2f s, last %.2f s, end %.2f s after the last" %
          (status, crowd.lost, at[0], at[-1], end - begin - at[-1]))
    print("largest quarter of a second: %.2f x the even rate" % (max(slots) / even))


if __name__ == "__main__":
    main()
