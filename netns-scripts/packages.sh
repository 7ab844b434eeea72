# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Which Debian packages are needed for what, and how the missing ones get installed. Sourced by quickstart and by
# tests/run; calls apt only when something is missing.

# shellcheck disable=SC2034 # for whoever sources this
{
packages_build="gcc libc6-dev cmake ninja-build pkg-config libglib2.0-dev libjson-glib-dev libnl-3-dev
    libnl-route-3-dev libnftables-dev libpcap0.8-dev libsodium-dev"
# What tests need besides, and the judges that we did not write: stun, coturn, tshark.
packages_test="clang clang-format clang-tidy libclang-rt-14-dev help2man shellcheck python3-pytest
    python3-pytest-xdist pyflakes3 tshark stun-client stun-server coturn iproute2 nftables util-linux man-db
    iputils-ping ethtool procps python3"
packages_bench="mininet"
}

# Prints those of "$@" that are not installed.
packages_missing() {
    local package
    for package in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || echo "$package"
    done
}

# Runs "$@" as root.
packages_as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

# Installs those of "$@" that are missing, without starting the daemons that some of them bring. The package lists are
# fetched only when the first try fails, since on most machines they are there.
packages_install() {
    local missing policy=/usr/sbin/policy-rc.d made_policy=no status=0 log
    mapfile -t missing < <(packages_missing "$@")
    [ ${#missing[@]} -gt 0 ] || return 0

    if ! command -v apt-get >/dev/null; then
        echo "error: this needs the Debian packages (or their like): ${missing[*]}" >&2
        return 1
    fi
    if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
        echo "error: packages are missing, and there is neither root nor sudo; as root, run: apt-get install ${missing[*]}" >&2
        return 1
    fi
    echo "Installing with apt-get: ${missing[*]}"
    log=$(mktemp)
    if [ -d /run/systemd/system ] && ! [ -e $policy ] && packages_as_root sh -c "printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy"; then
        made_policy=yes
    fi
    packages_apt_get install "${missing[@]}" >"$log" 2>&1 ||
        { packages_apt_get update >>"$log" 2>&1 && packages_apt_get install "${missing[@]}" >>"$log" 2>&1; } || status=1
    if [ $made_policy = yes ]; then
        packages_as_root rm -f $policy
    fi
    if [ $status != 0 ]; then
        tail -n 30 "$log" >&2
        echo "error: could not install the missing packages; as root, run: apt-get update && apt-get install ${missing[*]}" >&2
    fi
    rm -f "$log"
    return $status
}

packages_apt_get() {
    packages_as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends \
        -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120 "$@" </dev/null
}
