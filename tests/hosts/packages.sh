#!/bin/sh
# Install what this machine lacks of: packages.sh python|engines|stores|image|deploy|browser|chaos|benchmarks...
# Debian 12 or later, as root. Says nothing and needs no network when all is there.
set -eu

missing=""
want() { # PACKAGE TEST...: PACKAGE is wanted unless TEST succeeds
    package=$1
    shift
    "$@" >/dev/null 2>&1 || missing="$missing $package"
}

PATH=$PATH:/usr/sbin:/sbin
for kind in "$@"; do
    case $kind in
    python)
        want python3 python3 --version
        want python3-venv python3 -c 'import ensurepip, venv'
        want ca-certificates test -e /etc/ssl/certs/ca-certificates.crt
        ;;
    engines)
        want docker.io test -x /usr/sbin/dockerd -a -x /usr/bin/docker
        want busybox-static dpkg -s busybox-static
        want iproute2 ip -Version
        want iptables iptables --version
        want openssl openssl version
        want openssh-client ssh -V
        want dropbear-bin test -x /usr/sbin/dropbear
        want util-linux unshare --version
        want mount mount --version
        ;;
    stores) # consul and a later etcd come from other suites: tests/hosts/suites.py
        want etcd-server test -x /usr/bin/etcd
        want default-jre-headless java -version
        want libzookeeper-java test -e /usr/share/java/zookeeper.jar
        ;;
    chaos) # a clock of its own for each manager
        want libfaketime sh -c 'ls /usr/lib/*/faketime/libfaketimeMT.so.1'
        ;;
    deploy) # what reads units and the manual page
        want systemd systemd-analyze --version
        want groff-base groff --version
        ;;
    image) # what its base is made with
        want debootstrap debootstrap --version
        ;;
    browser) # for the cluster page
        want chromium test -x /usr/bin/chromium
        want chromium-driver test -x /usr/bin/chromedriver
        ;;
    benchmarks)
        want haproxy haproxy -v
        ;;
    *)
        echo "packages.sh: what is '$kind'?" >&2
        exit 2
        ;;
    esac
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ]; then
    echo "these packages are missing, and only root can install them:$missing" >&2
    exit 1
fi
if ! command -v apt-get >/dev/null; then
    echo "these packages are missing, and this is not Debian:$missing" >&2
    exit 1
fi

# The engine is for us to start: an installation must not start one of the machine's own, with its bridge and firewall
# rules. Source: Debian policy 9.3.3.1, policy-rc.d(8).
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 1' HUP INT TERM
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi

echo "installing$missing"
export DEBIAN_FRONTEND=noninteractive
tries=0
until apt-get -q -o Acquire::Retries=3 update; do
    tries=$((tries + 1))
    [ "$tries" -lt 3 ] || break # perhaps only a repository that we do not need
    sleep $((tries * 5))
done
# shellcheck disable=SC2086 # a list of words
apt-get -q -y --no-install-recommends install $missing
