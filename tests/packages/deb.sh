#!/usr/bin/env bash
# Installs, uses, removes and purges the given Debian package in a disposable copy of the root file
# system: an overlay in its own mount namespace. Without root or overlays, it only checks the contents of
# the package.
set -euo pipefail

fail() {
    echo "deb: $*" >&2
    exit 1
}

# In the copy: what a user of the package does.
inside() {
    export FLAGS_TOKEN=any DEBIAN_FRONTEND=noninteractive
    local example=/usr/share/doc/optoggles/examples/optoggles.toml
    # Nothing is started.
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod 755 /usr/sbin/policy-rc.d

    dpkg -i /package.deb
    optoggles --version
    optoggles -c "$example" check-config
    [ ! -e /etc/optoggles/optoggles.toml ] || fail "the package installs a configuration"
    for page in man1/optoggles.1.gz man5/optoggles.toml.5.gz; do
        [ -s "/usr/share/man/$page" ] || fail "$page is missing"
    done
    if command -v systemd-analyze >/dev/null; then
        systemd-analyze verify --man=no optoggles.service || fail "systemd rejects the unit"
        systemctl is-enabled optoggles.service || fail "the service is not enabled"
    fi
    install -D -m 644 "$example" /etc/optoggles/optoggles.toml
    (cd / && optoggles check-config)
    if command -v logrotate >/dev/null; then
        logrotate --debug /etc/logrotate.d/optoggles || fail "logrotate rejects its configuration"
    fi

    dpkg -i /package.deb
    dpkg -r optoggles
    [ ! -e /usr/bin/optoggles ] || fail "the executable is still there"
    dpkg -P optoggles
    [ -e /etc/optoggles/optoggles.toml ] || fail "the existing configuration is gone"
    rm -r /etc/optoggles
}

# Files of optoggles in the overlay. Deleted files are character devices there.
left_over() {
    find "$1" \( -path "$1/var/log" -o -path "$1/proc" \) -prune -o -name '*optoggles*' ! -type c -print
}

outside() {
    local package=$1 folder=$2
    mount -t tmpfs tmpfs "$folder"
    mkdir "$folder/changes" "$folder/work" "$folder/root"
    mount -t overlay overlay "$folder/root" \
        -o "lowerdir=/,upperdir=$folder/changes,workdir=$folder/work" || return 75
    mount -t proc proc "$folder/root/proc"
    mount -t tmpfs tmpfs "$folder/root/run"
    mount --rbind /dev "$folder/root/dev"
    cp "$package" "$folder/root/package.deb"
    cp "$0" "$folder/root/deb.sh"
    chroot "$folder/root" bash /deb.sh inside
    [ -z "$(left_over "$folder/changes")" ] || fail "left over: $(left_over "$folder/changes")"
}

case ${1:?the package} in
inside) inside ;;
outside) outside "$2" "$3" ;;
*)
    package=$(realpath "$1")
    dpkg-deb --info "$package"
    dpkg-deb --contents "$package"
    if ! unshare -m true 2>/dev/null; then
        echo "deb: not installed, mount namespaces are not available"
        exit
    fi
    folder=$(mktemp -d)
    trap 'rmdir "$folder"' EXIT
    status=0
    unshare -m bash "$0" outside "$package" "$folder" || status=$?
    case $status in
    0) echo "deb: ok" ;;
    75) echo "deb: not installed, an overlay over / is not available" ;;
    *) exit 1 ;;
    esac
    ;;
esac
