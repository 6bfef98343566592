#!/usr/bin/env python3
"""tests/lifecycle/run.py SERVER - what a node does to its clients while its operator works on it.

Reloads keep every socket; what a reload changes counts at once; the end takes everybody along.
"""
import hashlib
import hmac
import json
import os
import re
import ssl
import sys
import time
import urllib.request

from bulk import Crowd, Server, certificate

CASES = []


def case(function):
    CASES.append(function)
    return function


def publish(server, channel, tls=False, data="x"):
    body = json.dumps({"name": "e", "channel": channel, "data": data}).encode()
    query = "auth_key=k&auth_timestamp=%d&auth_version=1.0&body_md5=%s" % (
        time.time(), hashlib.md5(body).hexdigest())
    sign = hmac.new(b"s", b"POST\n/apps/1/events\n" + query.encode(), hashlib.sha256).hexdigest()
    url = "%s://127.0.0.1:%d/apps/1/events?%s&auth_signature=%s" % (
        "https" if tls else "http", server.port, query, sign)

    context = ssl._create_unverified_context() if tls else None  # pylint: disable=protected-access
    with urllib.request.urlopen(urllib.request.Request(url, body, {"Content-Type": "application/json"}),
                                context=context) as r:
        assert r.status == 200


@case
def a_thousand_sockets_outlive_ten_reloads_of_certificates_and_configuration(binary):
    """SIGHUP and changed files: nobody is lost, new connections get the new certificate."""
    server = Server(binary, ssl={"enabled": False})
    server.kill()
    cert, key = certificate(server.folder, "first")
    server = Server(binary, ssl={"enabled": True, "cert_path": cert, "key_path": key})
    try:
        crowd = Crowd(server.port, tls=True)
        crowd.open(1000, "all")
        crowd.until(lambda: crowd.received >= 1000)  # subscription_succeeded
        seen = set()
        for i in range(10):
            fresh_cert, fresh_key = certificate(server.folder, "next", "round-%d.example" % i)
            os.replace(fresh_key, key)
            os.replace(fresh_cert, cert)
            server.config["max_connections"] = 5000 + i
            server.write()
            server.reload()
            probe = crowd.open(1)[0]
            seen.add(probe.getpeercert(binary_form=True))
            crowd.turn(0)
        assert len(seen) == 10, "new connections saw %d certificates" % len(seen)
        assert crowd.lost == 0 and not crowd.closes, "%d lost" % crowd.lost
        before = crowd.received
        publish(server, "all", tls=True)
        crowd.until(lambda: crowd.received >= before + 1000)
        assert len(crowd.sockets) == 1010
        crowd.close()
        server.stop()
    finally:
        server.kill()


@case
def a_reload_takes_apps_limits_and_origins_into_use(binary):
    """A new app is served, a disabled one hears 4003, a changed one keeps its sockets."""
    server = Server(binary)
    try:
        crowd = Crowd(server.port)
        crowd.open(20, "all")
        crowd.until(lambda: crowd.received >= 20)
        apps = server.config["app_manager"]["array"]["apps"]
        apps[0]["max_connections"] = 20
        server.write()
        server.reload()
        one = Crowd(server.port)
        try:
            one.open(1)
            raise AssertionError("the limit of the reload is not in use")
        except AssertionError as e:
            assert "4004" in str(e), e
        assert len(crowd.sockets) == 20
        apps[0]["enabled"] = False
        apps.append(dict(apps[0], id="2", key="k2", enabled=True))
        server.write()
        server.reload()
        crowd.until(lambda: len(crowd.closes) == 20)
        assert {code for _, code in crowd.closes} == {4003}, crowd.closes
        server.stop()
    finally:
        server.kill()


@case
def a_refused_reload_changes_nothing(binary):
    server = Server(binary)
    try:
        crowd = Crowd(server.port)
        crowd.open(10, "all")
        crowd.until(lambda: crowd.received >= 10)
        with open(server.path, "w", encoding="utf-8") as f:
            f.write('{"port": "no"}')
        server.reload()
        said = r'reload refused, nothing has changed: config: \S+/config\.json:1:10: "port": expected an integer'
        assert re.search(said, server.text()), server.text()[-500:]
        before = crowd.received
        publish(server, "all")
        crowd.until(lambda: crowd.received >= before + 10)
        assert not crowd.closes and crowd.lost == 0
        server.stop()
    finally:
        server.kill()


@case
def one_of_two_hundred_does_not_read(binary):
    """WS-116: each message reaches the others while he is behind; he is closed with 4100."""
    server = Server(binary, websocket={"max_messages": 20})
    closed = 'sockudo_slow_consumer_closed_total{app_id="1",port="%d"}' % server.metrics_port
    try:
        stalled, others = Crowd(server.port), Crowd(server.port)
        stalled.open(1, "all", rcvbuf=4096)
        others.open(199, "all")
        others.until(lambda: others.received == 199)
        for n in range(2, 400):
            publish(server, "all", data="x" * 60000)
            others.until(lambda n=n: others.received == 199 * n)
            if server.metrics().get(closed):
                break
        stalled.until(lambda: stalled.closes)
        assert [code for _, code in stalled.closes] == [4100], stalled.closes
        assert others.lost == 0 and not others.closes, others.closes
        server.stop()
    finally:
        server.kill()


@case
def the_end_takes_everybody_along(binary):
    """Two thousand sockets hear 4200, each once, and the process ends with status 0."""
    server = Server(binary, shutdown_grace_period=20)
    try:
        crowd = Crowd(server.port)
        crowd.open(2000, "all")
        crowd.until(lambda: crowd.received >= 2000)
        server.process.terminate()
        crowd.until(lambda: len(crowd.closes) + crowd.lost == 2000)
        assert crowd.lost == 0 and {code for _, code in crowd.closes} == {4200}, crowd.lost
        assert server.process.wait(timeout=60) == 0
    finally:
        server.kill()


def main():
    binary = os.path.abspath(sys.argv[1])
    wanted = sys.argv[2:]
    failed = 0
    for f in CASES:
        if wanted and f.__name__ not in wanted:
            continue
        try:
            f(binary)
            print("ok   %s" % f.__name__)
        except Exception as e:  # pylint: disable=broad-except
            failed += 1
            print("FAIL %s: %s" % (f.__name__, e))
    print("lifecycle: %d passed, %d failed" % (len(CASES) - failed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
