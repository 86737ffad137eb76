#!/bin/sh
# Brings influxd onto this machine, for the tests and `STORE=influxdb`: one on PATH, else one built
# earlier, else built now from InfluxDB's Go module (about 6 minutes on two cores, once).
#
# What it needs: Go, Rust (cargo), and Debian's clang, pkg-config and protobuf-compiler, which are
# installed where we are root.
set -eu

VERSION=2.9.1
say() { printf '%s\n' "· $*"; }
refuse() { printf '%s\n' "$*" >&2; exit 2; }

here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/denyut/tools/influxd-$VERSION

is_ours() { "$1" version 2>/dev/null | grep -Eq '^InfluxDB v?2\.[789]\.'; }

need_debian() {
    missing=
    for pair in clang:clang pkg-config:pkg-config protoc:protobuf-compiler; do
        command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair#*:}"
    done
    [ -z "$missing" ] && return
    { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; } ||
        refuse "influxd needs these to be built: apt-get install$missing"
    say "installing$missing from the system's packages"
    # shellcheck disable=SC2086 # the packages are words
    { apt-get update -q && DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends $missing; } >/dev/null </dev/null
}

# With another HOME, rustup's own folders are still beside cargo.
find_rust() {
    command -v cargo >/dev/null || refuse "influxd needs Rust to be built: install it with rustup"
    home=$(dirname "$(dirname "$(readlink -f "$(command -v cargo)")")")
    case $(basename "$home") in
        .cargo | cargo)
            export CARGO_HOME="${CARGO_HOME:-$home}"
            export RUSTUP_HOME="${RUSTUP_HOME:-$(dirname "$home")/.rustup}"
            ;;
    esac
    # InfluxDB's sources ask for a toolchain of their own; any recent one builds them.
    if [ -z "${RUSTUP_TOOLCHAIN:-}" ] && command -v rustup >/dev/null; then
        RUSTUP_TOOLCHAIN=$(rustup toolchain list | awk '{ print $1; exit }')
        export RUSTUP_TOOLCHAIN
    fi
}

build() {
    command -v go >/dev/null || refuse "influxd needs Go 1.25.10 or newer to be built"
    need_debian
    find_rust
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    say "building influxd $VERSION: about 6 minutes, once"
    began=$(date +%s)
    cd "$here"
    go build -o "$scratch/pkg-config" github.com/influxdata/pkg-config
    PKG_CONFIG="$scratch/pkg-config" go build -tags noasset \
        -ldflags "-s -w -X main.version=$VERSION" -o "$scratch/influxd" \
        github.com/influxdata/influxdb/v2/cmd/influxd
    mkdir -p "$cache"
    # In one step for whoever looks meanwhile, as a second build beside this one.
    mv "$scratch/influxd" "$cache/influxd.$$"
    mv "$cache/influxd.$$" "$cache/influxd"
    say "influxd $VERSION is built, in $(($(date +%s) - began)) s"
}

if command -v influxd >/dev/null && is_ours influxd; then
    say "influxd is on PATH: $(influxd version | cut -d' ' -f1-2)"
elif [ -x "$cache/influxd" ] && is_ours "$cache/influxd"; then
    say "influxd $VERSION is here already"
else
    build
fi
