#!/usr/bin/env python3
"""tests/package/files.py [--copy DIR] [SOCKUDO] - do the files of packaging agree with each other?

Debian: versions, build dependencies, and the unit's sandbox, line by line. Docker: every
COPY has a source that .dockerignore lets pass. Kubernetes: names, ports and probes are those of the
configuration, which SOCKUDO (the program, if given) has to accept. --copy instead writes what
"docker build" would send: git's files without those of .dockerignore.
"""
import fnmatch
import glob
import json
import os
import re
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SANDBOX = """Type=notify
DynamicUser=yes
UMask=0077
RuntimeDirectory=sockudo
RuntimeDirectoryMode=0750
LimitNOFILE=1048576
LimitCORE=0
NoNewPrivileges=yes
CapabilityBoundingSet=
ProtectSystem=strict
ProtectProc=invisible
ProcSubset=pid
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources @setuid @keyring @chown @memlock
SystemCallErrorNumber=EPERM
EnvironmentFile=-/etc/sockudo/env""".split("\n") + [name + "=yes" for name in """
ProtectHome PrivateTmp PrivateDevices PrivateUsers ProtectKernelTunables ProtectKernelModules
ProtectKernelLogs ProtectControlGroups ProtectClock ProtectHostname RestrictNamespaces
RestrictRealtime RestrictSUIDSGID RemoveIPC LockPersonality MemoryDenyWriteExecute""".split()]
failures = []


def expect(good, text, detail=""):
    if not good:
        failures.append(text)
        print("FAIL %s %s" % (text, detail))


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as f:
        return f.read()


# ---- Debian ----

def seconds_of(text):
    return int(re.match(r"(\d+)", text).group(1))


def check_unit():
    lines = read("debian", "sockudo.service").split("\n")
    for line in SANDBOX:
        expect(line in lines, "sockudo.service has " + line)
    settings = dict(line.split("=", 1) for line in lines if "=" in line and line[0] != "#")
    expect("WatchdogSec" in settings, "sockudo.service has a watchdog")
    expect("ExecReload=kill -HUP $MAINPID" in lines, "sockudo.service reloads by SIGHUP")
    expect(seconds_of(settings["TimeoutStopSec"]) > default_grace(),
           "TimeoutStopSec is longer than shutdown_grace_period")


def default_grace():
    row = re.search(r'^OPTION\(shutdown_grace_period, "\w+", U64, "(\d+)"',
                    read("src", "config", "options.def"), re.M)
    return int(row.group(1))


def check_debian():
    version = re.search(r"^  version: '([^']+)'", read("meson.build"), re.M).group(1)
    expect(read("debian", "changelog").startswith("sockudo (%s)" % version),
           "debian/changelog and meson.build have one version", version)
    control = read("debian", "control")
    wanted = re.search(r'^packages="([^"]+)"', read("scripts", "install.sh"), re.M).group(1).split()
    for name in wanted:
        expect(name == "build-essential" or re.search(r"^ %s\b.*,$" % re.escape(name), control, re.M),
               "debian/control needs %s to build, as scripts/install.sh does" % name)
    config = json.loads(read("debian", "config.json"))
    expect(config["metrics"]["host"] == "127.0.0.1", "packaged metrics on loopback (SEC-28)")
    expect(config["app_manager"]["array"]["apps"] == [], "no app in the packaged configuration")
    check_unit()
    return version


# ---- Docker ----

def patterns():
    return [line for line in read(".dockerignore").split("\n") if line and line[0] != "#"]


def is_ignored(path):
    """path or a folder above it; ** in front stands for any folder."""
    parts = path.split("/")
    for pattern in patterns():
        for n in range(1, len(parts) + 1):
            part = "/".join(parts[:n])
            if fnmatch.fnmatch(parts[n - 1] if pattern.startswith("**/") else part,
                               pattern.replace("**/", "", 1)):
                return True
    return False


def context():
    out = subprocess.run(["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=ROOT, check=True,
                         capture_output=True, text=True).stdout
    return [f for f in out.split("\0")
            if f and os.path.lexists(os.path.join(ROOT, f)) and not is_ignored(f)]


def instructions():
    text = re.sub(r"^#.*\n", "", read("packaging", "docker", "Dockerfile"), flags=re.M)
    joined = re.sub(r"\\\n\s*", "", text)
    return [line.split(None, 1) for line in joined.split("\n") if line]


def check_docker():
    files, steps = context(), instructions()
    stages = [args for name, args in steps if name == "FROM"]
    expect(len(stages) == 2 and all(s.startswith("debian:12-slim") for s in stages), "two stages")
    for name, args in steps:
        words = args.split()
        if name == "COPY" and not words[0].startswith("--from="):
            for source in words[:-1]:
                expect(source == "." or source in files, "COPY finds its source", source)
        if name == "COPY" and words[0].startswith("--from="):
            expect(stages[0].endswith(" AS " + words[0][len("--from="):]), "COPY finds its stage")
    build = [args for name, args in steps[:[s[0] for s in steps].index("FROM", 1)] if name == "RUN"]
    expect(build == ["scripts/install.sh deb", "scripts/deb.sh /out"],
           "the build stage runs what run.sh runs", build)
    last = {name: args for name, args in steps}
    user = last.get("USER", "0").split(":")[0]
    expect(user.isdigit() and int(user) > 0, "a numeric user that is not root", user)
    expect(last.get("STOPSIGNAL") == "SIGTERM", "STOPSIGNAL")
    expect(json.loads(last["ENTRYPOINT"]) == ["/usr/bin/sockudo"], "ENTRYPOINT")
    expect(json.loads(last["CMD"]) == ["--config", "/etc/sockudo/config.json"], "CMD")
    expect(int(last["EXPOSE"]) == json.loads(read("debian", "config.json"))["port"], "EXPOSE")
    for needed in ("meson.build", "LICENSE", "debian/rules", "src/main.c"):
        expect(needed in files, "the context has " + needed)
    expect(not [f for f in files if f.startswith((".git/", "tests/"))], "the context is small")
    return user


# ---- Kubernetes ----

def manifests():
    import yaml  # noqa: PLC0415 - only here: the other checks need no package
    found = {}
    for path in sorted(glob.glob(os.path.join(ROOT, "packaging", "kubernetes", "*.yaml"))):
        with open(path, encoding="utf-8") as f:
            for document in yaml.safe_load_all(f):
                expect(document["kind"] not in found, "one " + document["kind"])
                found[document["kind"]] = document
    return found


def check_kubernetes(version, user, program):
    kinds = manifests()
    listed = kinds.pop("Kustomization")["resources"]
    for name in listed:
        expect(os.path.exists(os.path.join(ROOT, "packaging", "kubernetes", name)), "resource " + name)
    expect(set(kinds) == {"ConfigMap", "Deployment", "PodDisruptionBudget", "Secret", "Service"},
           "the kinds", sorted(kinds))
    for kind, document in kinds.items():
        expect(document["metadata"]["name"] == "sockudo", kind + " is called sockudo")
    text = kinds["ConfigMap"]["data"]["config.json"]
    config = json.loads(text)
    deployment = kinds["Deployment"]["spec"]
    pod = deployment["template"]["spec"]
    check_labels(kinds, deployment)
    check_pod(pod, user, config)
    check_container(pod["containers"][0], version, config, kinds)
    ports = {p["name"]: p["containerPort"] for p in pod["containers"][0]["ports"]}
    for port in kinds["Service"]["spec"]["ports"]:
        expect(ports[port["targetPort"]] == config["port"], "the service leads to the server")
    notes = deployment["template"]["metadata"]["annotations"]
    expect(notes["prometheus.io/port"] == str(config["metrics"]["port"]), "Prometheus' port")
    names = set(re.findall(r"\$\{(\w+)", text))
    expect(names == set(kinds["Secret"]["stringData"]), "the secret has what the file asks for", names)
    expect(not any(kinds["Secret"]["stringData"].values()), "no secret that somebody could guess")
    if program:
        check_accepted(program, text, names)


def check_labels(kinds, deployment):
    labels = deployment["template"]["metadata"]["labels"]
    for selector in (deployment["selector"]["matchLabels"], kinds["Service"]["spec"]["selector"],
                     kinds["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"]):
        expect(selector.items() <= labels.items(), "selectors meet the pod's labels", selector)


def check_pod(pod, user, config):
    security = pod["securityContext"]
    expect(security["runAsNonRoot"] is True and security["runAsUser"] == int(user), "the image's user")
    expect(security["seccompProfile"]["type"] == "RuntimeDefault", "seccomp profile")
    expect(pod["automountServiceAccountToken"] is False, "no token of the cluster")
    pause = int(pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][1])
    expect(pod["terminationGracePeriodSeconds"] > pause + config["shutdown_grace_period"],
           "terminationGracePeriodSeconds outlasts preStop and drain")
    expect(pod["volumes"][0]["configMap"]["name"] == "sockudo", "the volume is the ConfigMap")


def check_container(container, version, config, kinds):
    ports = {p["name"]: p["containerPort"] for p in container["ports"]}
    expect(ports == {"http": config["port"], "metrics": config["metrics"]["port"]}, "ports", ports)
    expect(container["image"].endswith(":" + version), "the image has this version")
    routes = read("src", "api", "routes.def")
    for probe, path in (("startupProbe", "/live"), ("livenessProbe", "/live"),
                        ("readinessProbe", "/ready")):
        get = container[probe]["httpGet"]
        expect(get["path"] == path and '"%s"' % path[1:] in routes, probe + " asks " + path)
        expect(ports[get["port"]] == config["port"], probe + " asks the server's port")
    security = container["securityContext"]
    expect(security == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]}}, "the container's rights", security)
    mount = container["volumeMounts"][0]
    expect(os.path.join(mount["mountPath"], "config.json") == container["args"][1]
           and "config.json" in kinds["ConfigMap"]["data"], "the file is where --config looks")
    expect(container["envFrom"][0]["secretRef"]["name"] == "sockudo", "variables of the Secret")


def check_accepted(program, text, names):
    env = dict({name: "f" * 64 for name in names}, PATH="/usr/bin:/bin")
    argv = [program, "--check-config", "--strict-config", "--config", "/dev/stdin"]
    full = subprocess.run(argv, input=text, text=True, capture_output=True, env=env, check=False)
    expect(full.returncode == 0, "the ConfigMap is a good configuration", full.stderr)
    empty = subprocess.run(argv, input=text, text=True, capture_output=True, check=False,
                           env=dict({name: "" for name in names}, PATH="/usr/bin:/bin"))
    expect(empty.returncode == 1, "the Secret as delivered refuses the start", empty.stderr)


def copy(target):
    for name in context():
        place = os.path.join(target, name)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        shutil.copy2(os.path.join(ROOT, name), place, follow_symlinks=False)


def main():
    args = sys.argv[1:]
    if args[:1] == ["--copy"]:
        return copy(args[1])
    version = check_debian()
    user = check_docker()
    check_kubernetes(version, user, args[0] if args else None)
    if failures:
        sys.exit("packaging files: %d failed" % len(failures))
    print("packaging files: passed")
    return None


if __name__ == "__main__":
    main()
