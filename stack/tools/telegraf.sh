#!/usr/bin/env bash
# Brings a Telegraf onto this machine, the peer that `make bench` measures beside ingest: the one on
# PATH (1.x), else the one built before, else one built now from its Go module, with what it needs to
# read from MQTT and write to InfluxDB and nothing else. Prints its path on standard output, all else
# on standard error; exit code 2 where something is missing, 1 where the build fails.
#
# telegraf/go.mod beside this file says which version, and go.sum pins the rest. Measured on two
# cores: 1 to 2 minutes. What stays: telegraf itself (22 MB), and the sources in Go's cache.
#
# Another version: its number and its line `go` into go.mod, then what `compile` does with -mod=mod.
set -euo pipefail

tool=telegraf
takes="1 to 2 minutes"
alternative="put a Telegraf 1.x on PATH"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
module=$here/telegraf
version=$(awk '$2 == "github.com/influxdata/telegraf" { print substr($3, 2) }' "$module/go.mod")
. "$here/building.sh"

# What a program that claims to be Telegraf says of itself, as 1.39.3; nothing where it is none.
version_of() {
    { timeout 20 "$1" version | sed -n 's/^Telegraf v\{0,1\}\([0-9][^ ]*\).*/\1/p'; } 2>/dev/null || true
}

on_path() {
    local found its
    found=$(command -v telegraf) || return 1
    its=$(version_of "$found")
    case $its in
        1.*) say "Telegraf $its is on PATH: used as it is" ;;
        *) say "telegraf on PATH is ${its:-of no version it would tell}, not 1.x: left aside"
           return 1 ;;
    esac
    echo "$found"
}

need_compilers() { :; }

compile() {
    use_work_folder
    export CGO_ENABLED=0
    go build -trimpath -tags custom,inputs.mqtt_consumer,outputs.influxdb_v2,parsers.json_v2 \
        -ldflags "-s -w -X github.com/influxdata/telegraf/internal.Version=$version" \
        -o "$work/telegraf" github.com/influxdata/telegraf/cmd/telegraf
}

bring
