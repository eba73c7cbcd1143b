#!/bin/sh
# Become the systemd of the root file system in ROOT: boot.sh ROOT DIRECTORY ADDRESS...
# What is written lands in DIRECTORY. Run as PID 1 of new namespaces of all kinds but users.
# Source: systemd.io/CONTAINER_INTERFACE, and what systemd-nspawn mounts.
set -eu
root=$1 directory=$2
shift 2

cd "$directory"
mkdir upper work machine
mount -t overlay -o "lowerdir=$root,upperdir=upper,workdir=work" overlay machine
cd machine
mount -t proc proc proc
mount --bind proc/sys/net proc/sys/net # of our own network namespace
mount --rbind proc/sys proc/sys        # the rest is the whole kernel's
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero full random urandom tty; do
    touch dev/$device
    mount --bind /dev/$device dev/$device
done
mkdir dev/shm dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s /dev/null etc/systemd/system/timers.target # nothing by the hour, such as updates

echo machine >etc/hostname # which systemd sets
ip link set lo up
for address in "$@"; do
    ip address add "$address/32" dev lo
done
mkdir old
pivot_root . old
umount --lazy /old
rmdir /old
exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --show-status=no
