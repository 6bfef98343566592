#!/usr/bin/env python3
"""tests/lifecycle/soak.py SERVER [MINUTES [--tls]] - churn, and what is left of it.

Connects, subscribes, whispers, leaves in every way, round after round; each half minute everybody
has left, and memory and descriptors are printed. Exit status 1 if the least of the last three looks
is more than the least of the second to fourth by over 1 MiB or 8 descriptors: a leak lifts all.
"""
import os
import random
import sys
import time

from bulk import Crowd, Server, certificate, text_frame


def churn(crowd, rounds_end):
    rounds = 0
    while time.monotonic() < rounds_end:
        rounds += 1
        new = crowd.open(40, "private-x" if rounds % 2 == 0 else "room-%d" % random.randrange(50))
        for s in new:
            try:
                s.send(text_frame('{"event":"client-w","channel":"private-x","data":{"n":1}}'))
                if random.random() < 0.3:
                    s.send(text_frame('{"event":"pusher:subscribe","data":{"channel":"cache-%d"}}' %
                                      random.randrange(100)))
            except OSError:
                pass
        crowd.turn(0)
        for s in random.sample(list(crowd.sockets), min(len(crowd.sockets), 38)):
            if s not in crowd.sockets:
                continue
            if random.random() < 0.5:
                try:
                    s.send(b"\x88\x82\0\0\0\0\x03\xe8")
                except OSError:
                    crowd.drop(s)
            else:
                crowd.drop(s)
    return rounds


def main():
    binary = os.path.abspath(sys.argv[1])
    minutes = float(sys.argv[2]) if len(sys.argv) > 2 else 10
    changes = {}
    if "--tls" in sys.argv:
        probe = Server(binary)
        probe.kill()
        cert, key = certificate(probe.folder, "soak")
        changes = {"ssl": {"enabled": True, "cert_path": cert, "key_path": key}}
    server = Server(binary, **changes)
    marks, end = [], time.monotonic() + minutes * 60
    try:
        while time.monotonic() < end:
            crowd = Crowd(server.port, tls="--tls" in sys.argv)
            rounds = churn(crowd, min(end, time.monotonic() + 30))
            crowd.close()
            probe = Crowd(server.port, tls="--tls" in sys.argv)
            while True:
                m = server.metrics()
                if m['sockudo_connected{app_id="1",port="%d"}' % server.metrics_port] == 0:
                    break
                probe.turn(0.1)
            time.sleep(5)  # graces of channels and members
            sent = m['sockudo_ws_messages_sent_total{app_id="1",port="%d"}' % server.metrics_port]
            channels = sum(v for k, v in server.metrics().items() if k.startswith("sockudo_active_channels"))
            marks.append((server.memory_kib(), server.descriptors()))
            print("%d rounds: %d KiB, %d descriptors, %d channels, %d messages out" %
                  (rounds, *marks[-1], channels, sent), flush=True)
            assert channels == 0
        server.stop()
    finally:
        server.kill()
    early, late = marks[1:4] or marks, marks[-3:]
    grown = tuple(min(m[i] for m in late) - min(m[i] for m in early) for i in range(2))
    print("grown by %d KiB and %d descriptors" % grown)
    return 1 if grown[0] > 1024 or grown[1] > 8 else 0


if __name__ == "__main__":
    sys.exit(main())
