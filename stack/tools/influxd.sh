#!/usr/bin/env bash
# Brings an influxd onto this machine: the one on PATH (2.7 to 2.9), else the one built before,
# else one built now from its Go module, without the web UI. Prints its path on standard output,
# all else on standard error; exit code 2 where something is missing, 1 where the build fails.
#
# go.mod beside this file says which version; go.sum, and the Cargo.lock of the sources, pin the
# rest. Measured on two cores: 5 to 6 minutes, 1.5 GB of memory, and 2 GB of disk that are given
# back. What stays: influxd itself (108 MB), and the sources in the caches of Go (1.6 GB) and
# cargo (0.1 GB).
#
# Another version: go get -tool github.com/influxdata/influxdb/v2/cmd/influxd@vX.Y.Z, the lines
# `go` and `replace` as in that module's own go.mod, go mod tidy.
set -euo pipefail

tool=influxd
takes="5 to 6 minutes"
alternative="put an influxd 2.7 to 2.9 on PATH"
rust_needed=1.83  # rust-version in the Cargo.toml of flux, which influxd links
module=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
version=$(awk '$1 == "github.com/influxdata/influxdb/v2" { print substr($2, 2) }' "$module/go.mod")
. "$module/building.sh"

# What a program that claims to be influxd says of itself, as in 2.9.1; nothing where it is none.
version_of() {
    { timeout 20 "$1" version | sed -n 's/^InfluxDB v\{0,1\}\([0-9][^ ]*\).*/\1/p'; } 2>/dev/null || true
}

on_path() {
    local found its
    found=$(command -v influxd) || return 1
    its=$(version_of "$found")
    case $its in
        2.[789].*) say "influxd $its is on PATH: used as it is" ;;
        *) say "influxd on PATH is ${its:-of no version it would tell}, not 2.7 to 2.9: left aside"
           return 1 ;;
    esac
    echo "$found"
}

# Rustup looks for its toolchains below HOME. Where HOME is another folder, they stand where its
# own installation put them: beside the folder of the programs.
keep_rustup_home() {
    local cargo_home rustup_home
    if [ -n "${RUSTUP_HOME:-}" ] || [ -d "$HOME/.rustup/toolchains" ]; then return; fi
    cargo_home=$(dirname "$(dirname "$(readlink -f "$(command -v cargo)")")")
    case $cargo_home in
        */.cargo) rustup_home=${cargo_home%/.cargo}/.rustup ;;
        *) rustup_home=${cargo_home%/*}/rustup ;;
    esac
    [ -d "$rustup_home/toolchains" ] || return 0
    export RUSTUP_HOME=$rustup_home
    if [ -w "$cargo_home" ]; then export CARGO_HOME=${CARGO_HOME:-$cargo_home}; fi
}

need_rust() {
    local chosen found
    if ! has cargo || ! has rustc; then lacks "install Rust $rust_needed or newer (rustup)"; fi
    keep_rustup_home
    # A file of the sources asks for a toolchain of its own; the variable goes before the file.
    if has rustup && [ -z "${RUSTUP_TOOLCHAIN:-}" ]; then
        chosen=$(rustup default 2>/dev/null | awk '{ print $1 }') || true
        export RUSTUP_TOOLCHAIN=${chosen:-stable}
    fi
    found=$(rustc --version 2>/dev/null | awk '{ print $2 }') || true
    is_at_least "$rust_needed" "${found:-0}" ||
        lacks "install Rust $rust_needed or newer, or set RUSTUP_TOOLCHAIN (this is ${found:-none})"
}

# The C compiler is for cgo and for Rust's linking; flux is found by way of pkg-config.
need_packages() {
    local missing=()
    has pkg-config || missing+=(pkg-config)
    has cc || missing+=(gcc libc6-dev)
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" != 0 ] || ! has apt-get; then lacks "apt-get install ${missing[*]}"; fi
    say "installing ${missing[*]} from the system's packages"
    { apt-get update -q && DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends "${missing[@]}"; } >"$work/log" 2>&1 </dev/null ||
        failed "apt-get could not install ${missing[*]}"
}

need_compilers() {
    need_rust
    need_packages
}

# In Go's own cache the helper would take its half-made copy of flux for a whole one.
compile() {
    use_work_folder
    unset CARGO_TARGET_DIR CARGO_BUILD_TARGET_DIR CARGO_BUILD_TARGET
    export CGO_ENABLED=1 CC=${CC:-cc}
    go build -o "$work/pkg-config" github.com/influxdata/pkg-config
    say "$SECONDS s: the sources are here; building flux, its query language (Rust)"
    "$work/pkg-config" --libs flux
    say "$SECONDS s: building influxd itself (Go)"
    # Tags and version as in the release, less the tag `assets`, which is the web UI.
    PKG_CONFIG=$work/pkg-config go build -trimpath -tags sqlite_foreign_keys,sqlite_json \
        -ldflags "-s -w -X main.version=v$version" \
        -o "$work/influxd" github.com/influxdata/influxdb/v2/cmd/influxd
}

bring
