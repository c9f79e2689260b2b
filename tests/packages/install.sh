#!/usr/bin/env bash
# Checks the files of make install in a separate folder, and make uninstall.
set -euo pipefail
cd "$(dirname "$0")/../.."

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

fail() {
    echo "install: $*" >&2
    exit 1
}

expect() {
    diff <(sort) <(cd "$folder" && find . -type f | sort) || fail "unexpected files ($1)"
}

echo "with DESTDIR and a prefix"
make -s install DESTDIR="$folder" prefix=/usr
expect "install" <<'FILES'
./etc/logrotate.d/optoggles
./etc/optoggles/optoggles.toml.example
./usr/bin/optoggles
./usr/lib/systemd/system/optoggles.service
./usr/share/bash-completion/completions/optoggles
./usr/share/fish/vendor_completions.d/optoggles.fish
./usr/share/man/man1/optoggles.1
./usr/share/man/man5/optoggles.toml.5
./usr/share/zsh/site-functions/_optoggles
FILES
commit=$(test ! -e .git || git log -1 --abbrev=9 --format=' (%h %cs)')
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
[ "$("$folder/usr/bin/optoggles" --version)" = "optoggles $version$commit" ] || fail "another version, or no commit"
FLAGS_TOKEN=any "$folder/usr/bin/optoggles" -c "$folder/etc/optoggles/optoggles.toml.example" check-config
cmp contrib/systemd/optoggles.service "$folder/usr/lib/systemd/system/optoggles.service" ||
    fail "the unit for /usr and /etc differs from the one in contrib"
bash -n "$folder/usr/share/bash-completion/completions/optoggles"
make -s uninstall DESTDIR="$folder" prefix=/usr
expect "uninstall" </dev/null
[ ! -e "$folder/etc/optoggles" ] || fail "uninstall leaves the configuration folder behind"

echo "with only a prefix, beside an existing configuration"
make -s install prefix="$folder/p" sysconfdir="$folder/etc"
unit=$folder/p/lib/systemd/system/optoggles.service
grep -qx "ExecStart=$folder/p/bin/optoggles -c $folder/etc/optoggles/optoggles.toml serve" "$unit" ||
    fail "the unit starts another executable"
if command -v systemd-analyze >/dev/null; then
    systemd-analyze verify --man=no "$unit" || fail "systemd rejects the unit"
fi
touch "$folder/etc/optoggles/optoggles.toml"
make -s uninstall prefix="$folder/p" sysconfdir="$folder/etc"
expect "uninstall" <<<./etc/optoggles/optoggles.toml
echo "install: ok"
