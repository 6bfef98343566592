#!/usr/bin/env python3
"""tests/package/installed.py DEB - installs the package, serves, reloads, stops, purges.

Runs inside the system that system.sh makes, never on a machine that somebody needs. Of item 30 in
security.md §7 it shows TLS, reload and stop under the unit; not webhooks, brokers and io_uring.
"""
import hashlib
import hmac
import http.client
import json
import os
import secrets
import shutil
import signal
import ssl
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from wsclient import Client, Problem, Wire  # noqa: E402

CONFIG, ENV, PORT, METRICS = "/etc/sockudo/config.json", "/etc/sockudo/env", 6001, 9601
DROP_IN = "/run/systemd/system/sockudo.service.d/test.conf"
MODES = {"/usr/bin/sockudo": 0o755, "/etc/sockudo": 0o755, CONFIG: 0o644, ENV: 0o640,
         "/lib/systemd/system/sockudo.service": 0o644, "/usr/share/man/man8/sockudo.8.gz": 0o644,
         "/usr/share/doc/sockudo/copyright": 0o644, "/usr/share/doc/sockudo/README.Debian": 0o644,
         "/usr/share/doc/sockudo/changelog.gz": 0o644}
PLACES = ("/etc", "/usr", "/lib", "/var", "/opt", "/root", "/home")
CHANGES = ("/etc/ld.so.cache", "/var/cache/", "/var/log/", "/var/lib/dpkg/", "/var/lib/systemd/",
           "/var/tmp/", "/var/spool/", "__pycache__")
failures = []


def expect(good, text, detail=""):
    print("%-4s %s" % ("ok" if good else "FAIL", text), flush=True)
    if not good:
        failures.append(text)
        print("     %s" % detail, flush=True)


def run(*argv, **options):
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False, **options)
    return done.returncode, done.stdout


def until(test, seconds=20):
    """Looks again until it is so, at most so long."""
    end = time.monotonic() + seconds
    while not test():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def tree():
    found = set()
    for place in PLACES:
        for folder, folders, files in os.walk(place):
            found.update(os.path.join(folder, f) for f in folders + files)
    return {f for f in found if not any(c in f for c in CHANGES)}


def listeners():
    """Local addresses of listening TCP sockets, as the kernel writes them."""
    found = []
    for name in ("/proc/net/tcp", "/proc/net/tcp6"):
        with open(name, encoding="ascii") as f:
            found += [line.split()[1] for line in f if line.split()[3] == "0A"]
    return found


def is_up():
    try:
        Wire(PORT).close()
        return True
    except OSError:
        return False


def connect(key):
    client = Client("one", PORT, "/app/%s?protocol=7" % key, [])
    client.finish_handshake(5)
    return client


def first_event(client):
    return str(client.next(5))


def close_code(client):
    """Reads to the Close frame and answers it, so that a drain need not wait for this client."""
    item = client.next(10)
    while item[0] not in ("close", "end"):
        item = client.next(10)
    return item[1] if item[0] == "close" else None


def service(name):
    return run("systemctl", "show", "--value", "--property", name, "sockudo")[1].strip()


def main_pid():
    return int(service("MainPID"))


def status_of(pid):
    with open("/proc/%d/status" % pid, encoding="ascii") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def descriptors(pid):
    """Soft and hard limit; systemd gives no more than it has itself."""
    with open("/proc/%d/limits" % pid, encoding="ascii") as f:
        line = next(line for line in f if line.startswith("Max open files"))
    return tuple(int(word) for word in line.split()[3:5])


def check_files():
    for name, mode in MODES.items():
        there = os.path.exists(name)
        st = os.stat(name) if there else None
        expect(there and (st.st_mode & 0o7777, st.st_uid, st.st_gid) == (mode, 0, 0),
               "%s %04o root:root" % (name, mode), st)
    conffiles = run("dpkg-query", "-W", "-f", "${Conffiles}", "sockudo")[1]
    expect(CONFIG in conffiles and ENV in conffiles, "configuration and variables are conffiles")
    with open(CONFIG, encoding="utf-8") as f:
        c = json.load(f)
    expect(c["metrics"]["host"] == "127.0.0.1", "packaged metrics on loopback (SEC-28)", c)
    expect(c["app_manager"]["array"]["apps"] == [], "no app in the packaged configuration", c)
    with open(ENV, encoding="utf-8") as f:
        active = [line for line in f if line.strip() and not line.startswith("#")]
    expect(not active, "no variable is set in the packaged env", active)


def as_nobody(*argv):
    return ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--no-new-privs",
            "--bounding-set=-all", "--inh-caps=-all"] + list(argv)


def check_command_line():
    code, said = run(*as_nobody("sockudo", "--check-config", "--strict-config", "-c", CONFIG), cwd="/")
    expect(code == 0, "nobody may check the packaged configuration", said)
    secret = secrets.token_hex(16)
    env = {"PATH": os.environ["PATH"], "SOCKUDO_DEFAULT_APP_ID": "1",
           "SOCKUDO_DEFAULT_APP_KEY": "key-of-a-test", "SOCKUDO_DEFAULT_APP_SECRET": secret}
    process = subprocess.Popen(as_nobody("sockudo", "-c", CONFIG), env=env, cwd="/", text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    expect(until(is_up), "nobody serves with the packaged configuration")
    client = connect("key-of-a-test")
    event = first_event(client)
    expect("connection_established" in event, "a client connects", event)
    process.send_signal(signal.SIGTERM)
    expect(close_code(client) == 4200, "SIGTERM: the client is told to come back (4200)")
    said = process.communicate(timeout=20)[0]
    expect(process.returncode == 0, "exit 0", (process.returncode, said))
    expect(secret not in said, "the secret is not in the log")


def check_sandbox(pid):
    status = status_of(pid)
    expect(status["Uid"].split()[0] not in ("0", "65534"), "a user of its own", status["Uid"])
    expect(all(int(status[c], 16) == 0 for c in ("CapEff", "CapPrm", "CapBnd", "CapAmb")),
           "no capability", status)
    expect(status["NoNewPrivs"] == "1" and status["Seccomp"] == "2", "no new privileges, filtered")
    most = min(1048576, descriptors(1)[1])
    expect(descriptors(pid) == (most, most), "%d descriptors" % most, descriptors(pid))
    exposure = run("systemd-analyze", "security", "--offline=true", "--threshold=13", "--no-pager",
                   "/lib/systemd/system/sockudo.service")
    expect(exposure[0] == 0, "exposure at most 1.3", exposure[1][-300:])
    verify = run("systemd-analyze", "verify", "/lib/systemd/system/sockudo.service")
    about_us = [line for line in verify[1].splitlines() if "sockudo" in line]
    expect(verify[0] == 0 and not about_us, "systemd-analyze verify", verify[1])


def check_service_start():
    expect(service("ActiveState") == "active", "the service runs once it is installed",
           run("systemctl", "status", "sockudo", "--no-pager", "-l")[1])
    expect(service("UnitFileState") == "enabled", "and after a reboot")
    expect(service("Type") == "notify" and service("WatchdogUSec") == "30s", "notify, watchdog")
    ours = [a for a in listeners() if int(a.split(":")[1], 16) in (PORT, METRICS)]
    expect(len(set(ours)) == 2 and all(a.startswith("0100007F:") for a in ours),
           "server and metrics listen on loopback alone", ours)
    expect("sockudo_" in get(METRICS, "/metrics")[1], "metrics can be scraped")
    event = first_event(connect("demo-key"))
    expect("4001" in event, "without an app everybody is refused", event)
    check_sandbox(main_pid())


def journal():
    return run("journalctl", "-n", "20", "--no-pager")[1]


def publish(secret):
    """A signed POST /apps/1/events; status and body."""
    body = '{"name":"headline","channels":["news"],"data":"hello"}'
    query = "auth_key=shop&auth_timestamp=%d&auth_version=1.0&body_md5=%s" % (
        time.time(), hashlib.md5(body.encode()).hexdigest())
    text = "POST\n/apps/1/events\n" + query
    sign = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    to = http.client.HTTPConnection("127.0.0.1", PORT, timeout=10)
    to.request("POST", "/apps/1/events?%s&auth_signature=%s" % (query, sign), body,
               {"Content-Type": "application/json"})
    answer = to.getresponse()
    return answer.status, answer.read().decode()


def check_service_app():
    secret = secrets.token_hex(16)
    with open(ENV, "a", encoding="utf-8") as f:
        f.write("SOCKUDO_DEFAULT_APP_ID=1\nSOCKUDO_DEFAULT_APP_KEY=shop\n"
                "SOCKUDO_DEFAULT_APP_SECRET=%s\n" % secret)
    code, said = run("systemctl", "restart", "sockudo")
    expect(code == 0, "restart", said)
    client = connect("shop")
    event = first_event(client)
    expect("connection_established" in event, "the app of /etc/sockudo/env", event)
    client.send_text('{"event":"pusher:subscribe","data":{"channel":"news"}}')
    event = first_event(client)
    expect("subscription_succeeded" in event, "a client subscribes", event)
    answer = publish(secret)
    event = first_event(client)
    expect(answer[0] == 200 and "headline" in event, "a back end publishes to it", (answer, event))
    return client


def check_reload(client):
    pid = main_pid()
    code, said = run("systemctl", "reload", "sockudo")
    expect(code == 0 and until(lambda: service("ActiveState") == "active"), "reload", said)
    with open(CONFIG, encoding="utf-8") as f:
        text = f.read()
    with open(CONFIG, "w", encoding="utf-8") as f:
        f.write(text.replace("{", "{ broken", 1))
    expect(run("systemctl", "reload", "sockudo")[0] != 0, "a broken file fails the reload")
    with open(CONFIG, "w", encoding="utf-8") as f:
        f.write(text)
    until(lambda: service("ActiveState") == "active")
    client.send_text('{"event":"pusher:ping","data":{}}')
    event = first_event(client)
    expect("pong" in event and main_pid() == pid, "the same process and socket go on", event)
    client.wire.close()


def with_drop_in(lines, check):
    os.makedirs(os.path.dirname(DROP_IN), exist_ok=True)
    with open(DROP_IN, "w", encoding="ascii") as f:
        f.write("[Service]\n" + lines)
    run("systemctl", "daemon-reload")
    code, said = run("systemctl", "restart", "sockudo")
    expect(code == 0, "restart with a drop-in", said + journal())
    check()
    os.remove(DROP_IN)
    run("systemctl", "daemon-reload")
    run("systemctl", "restart", "sockudo")


def check_watchdog():
    pid = main_pid()
    os.kill(pid, signal.SIGSTOP)
    expect(until(lambda: main_pid() not in (0, pid) and service("ActiveState") == "active"),
           "a server that hangs is replaced (watchdog)", service("Result"))


def get(port, path):
    """Status and body."""
    to = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    to.request("GET", path)
    answer = to.getresponse()
    return answer.status, answer.read().decode()


def tls_answer():
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    to = http.client.HTTPSConnection("127.0.0.1", PORT, timeout=10, context=context)
    to.request("GET", "/live")
    return to.getresponse().status


def check_tls():
    expect(tls_answer() == 200, "TLS with a key that a group may read")
    code, said = run("systemctl", "reload", "sockudo")
    expect(code == 0 and tls_answer() == 200, "TLS after a reload", said + journal())


def check_low_port():
    expect(get(80, "/live")[0] == 200, "port 80 by one capability")


def check_drop_ins():
    with_drop_in("WatchdogSec=1\nRestartSec=0\n", check_watchdog)
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-days", "1", "-subj", "/CN=localhost", "-keyout", "/run/key.pem", "-out", "/run/cert.pem")
    shutil.chown("/run/key.pem", "root", "daemon")
    os.chmod("/run/key.pem", 0o640)
    with_drop_in("SupplementaryGroups=daemon\nEnvironment=SSL_ENABLED=true\n"
                 "Environment=SSL_CERT_PATH=/run/cert.pem SSL_KEY_PATH=/run/key.pem\n", check_tls)
    with_drop_in("AmbientCapabilities=CAP_NET_BIND_SERVICE\n"
                 "CapabilityBoundingSet=CAP_NET_BIND_SERVICE\nPrivateUsers=no\n"
                 "Environment=PORT=80\n", check_low_port)


def check_service_stop():
    client = connect("shop")
    first_event(client)
    run("systemctl", "stop", "--no-block", "sockudo")
    expect(close_code(client) == 4200, "stop: clients are told to come back (4200)")
    expect(until(lambda: service("ActiveState") == "inactive"), "it stops", service("ActiveState"))
    expect(service("Result") == "success" and service("ExecMainStatus") == "0", "exit 0")
    expect(not os.path.exists("/run/sockudo"), "/run/sockudo is gone")


def check_service():
    check_service_start()
    client = check_service_app()
    check_reload(client)
    check_drop_ins()
    check_service_stop()


def check_purge(before, users):
    code, said = run("dpkg", "--remove", "sockudo")
    expect(code == 0 and os.path.exists(CONFIG), "remove keeps the configuration", said)
    code, said = run("dpkg", "--purge", "sockudo")
    expect(code == 0, "purge", said)
    left = sorted(tree() - before)
    expect(not left, "nothing is left", left[:20])
    with open("/etc/passwd", encoding="utf-8") as f:
        expect(f.read() == users, "no user is left")
    expect(not any(int(a.split(":")[1], 16) in (PORT, METRICS) for a in listeners()), "no listener")


def main():
    with open("/etc/passwd", encoding="utf-8") as f:
        users = f.read()
    before = tree()
    code, said = run("dpkg", "-i", sys.argv[1])
    expect(code == 0, "dpkg -i", said)
    check_files()
    if os.path.isdir("/run/systemd/system"):
        check_service()
    else:
        print("skipped: the service (no systemd, or no cgroup2, for a system of its own)")
    check_command_line()
    check_purge(before, users)
    print("package: %s" % ("%d failed" % len(failures) if failures else "passed"), flush=True)


if __name__ == "__main__":
    try:
        main()
    except (OSError, Problem, ValueError, KeyError, subprocess.TimeoutExpired) as e:
        print("package: failed, %r" % e, flush=True)
        raise
