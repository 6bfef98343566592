#!/bin/sh
# tests/package/system.sh WORK systemd|none - the throw-away system of run.sh, as its first process.
# Nothing here may reach the machine: /sys and /proc/sys are read-only, and the capabilities that
# load modules, set the clock or make device nodes are dropped.
set -eu
work=$1
init=$2
m=$work/system/root

mount --make-rprivate /
mount -t tmpfs tmpfs "$work/system"
mkdir "$work/system/upper" "$work/system/work" "$m"
mount -t overlay overlay \
    -o "lowerdir=/,upperdir=$work/system/upper,workdir=$work/system/work" "$m"
mount -t proc proc "$m/proc"
mount --bind "$m/proc/sys" "$m/proc/sys"
mount -o remount,bind,ro "$m/proc/sys"
mount -t sysfs -o ro sysfs "$m/sys"
mount -t tmpfs -o mode=0755 tmpfs "$m/run"
mount -t tmpfs -o mode=1777 tmpfs "$m/tmp"
mount -t tmpfs -o mode=0755 tmpfs "$m/dev"
for node in null zero full random urandom tty; do
    : >"$m/dev/$node"
    mount --bind "/dev/$node" "$m/dev/$node"
done
: >"$m/dev/console"
mount --bind "$work/console" "$m/dev/console"
mkdir "$m/dev/pts" "$m/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$m/dev/pts"
mount -t tmpfs -o mode=1777 tmpfs "$m/dev/shm"
ln -s pts/ptmx "$m/dev/ptmx"
ln -s /proc/self/fd "$m/dev/fd"
ip link set lo up
hostname package-test

mkdir -p "$m/guest"
cp "$work"/guest/* "$m/guest/"
rm -f "$m/usr/sbin/policy-rc.d"

# Not chroot: a process in one may not make user namespaces, and PrivateUsers= needs one.
enter() {
    cd "$m"
    mkdir -p old
    pivot_root . old
    cd /
    umount -l /old
    rmdir /old
    mount --make-rshared / # as a container's manager has to: credentials are mounted
}
clean="env -i container=overlay LC_ALL=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin"
dropped=-sys_module,-sys_time,-sys_rawio,-sys_boot,-mknod,-syslog
if [ "$init" = none ]; then
    enter
    # shellcheck disable=SC2086
    exec setpriv --bounding-set $dropped $clean \
        python3 /guest/installed.py /guest/sockudo.deb >/dev/console 2>&1
fi

[ -d "$m/sys/fs/cgroup" ]
mount -t cgroup2 cgroup2 "$m/sys/fs/cgroup"
for unit in systemd-remount-fs.service systemd-udevd.service systemd-udev-trigger.service \
    systemd-timesyncd.service systemd-update-utmp.service dev-hugepages.mount \
    sys-kernel-debug.mount sys-kernel-tracing.mount sys-fs-fuse-connections.mount; do
    ln -sf /dev/null "$m/etc/systemd/system/$unit"
done
cat >"$m/etc/systemd/system/guest.target" <<X
[Unit]
Requires=guest.service
After=guest.service
X
cat >"$m/etc/systemd/system/guest.service" <<X
[Service]
Type=oneshot
Environment=LC_ALL=C.UTF-8
StandardOutput=append:/dev/console
StandardError=append:/dev/console
ExecStart=/usr/bin/python3 /guest/installed.py /guest/sockudo.deb
ExecStopPost=systemctl exit 0 --force --force
X
: >"$m/etc/machine-id"
enter
# shellcheck disable=SC2086
exec setpriv --bounding-set $dropped $clean \
    /lib/systemd/systemd --unit=guest.target --show-status=0
