# What the scripts beside this one share: a program of a Go module is built once, and kept outside
# the tree. Sourced, with `tool`, `module` (the folder of its go.mod), `version`, `alternative` (what
# to do instead of building), `takes` (how long it takes) and the functions `version_of PROGRAM`,
# `need_compilers` and `compile`, which makes $work/$tool.
folder=${XDG_CACHE_HOME:-$HOME/.cache}/denyut/tools/$tool-$version
binary=$folder/$tool
work=$folder/build
go_needed=$(awk '$1 == "go" { print $2 }' "$module/go.mod")

exec 3>&2
say() { printf '%s\n' "· $*" >&3; }
refuse() { printf '%s\n' "$*" >&3; exit 2; }
has() { command -v "$1" >/dev/null; }
is_at_least() { printf '%s\n' "$1" "$2" | sort -VC; }

is_built() { [ -x "$binary" ] && [ "$(version_of "$binary")" = "$version" ]; }

lacks() { refuse "to build $tool, $1; or $alternative"; }

need_go() {
    local found
    has go || lacks "install Go $go_needed or newer"
    # Go itself compares with go.mod, and fetches that toolchain where GOTOOLCHAIN allows it.
    (cd "$module" && GOFLAGS='' GOWORK=off go list -m) >/dev/null 2>&1 && return
    found=$(cd / && go env GOVERSION)
    lacks "install Go $go_needed or newer (this is ${found#go})"
}

failed() {
    tail -n 20 "$work/log" >&3
    mv -f "$work/log" "$folder/failed.log"
    printf '%s\n' "$*; the whole log: $folder/failed.log" >&3
    exit 1
}

# All but the fetched sources goes into the work folder: removing it leaves nothing half-built.
use_work_folder() {
    unset GOOS GOARCH
    export GOCACHE=$work/go TMPDIR=$work GOFLAGS=-buildvcs=false GOWORK=off
    cd "$module"
}

# Compiles in a process group of its own, so that a signal ends the compilers too, and at once.
build() {
    SECONDS=0
    say "building $tool $version from its sources, once: $takes on two cores"
    set -m
    compile >"$work/log" 2>&1 </dev/null &
    job=$!
    set +m
    trap 'kill -KILL -- -$job; exit 130' INT
    trap 'kill -KILL -- -$job; exit 143' TERM HUP
    wait "$job" || failed "$tool $version could not be built, after $SECONDS s"
    trap - INT TERM HUP
    [ "$(version_of "$work/$tool")" = "$version" ] || failed "what was built is not $version"
    mv "$work/$tool" "$binary"
    say "$tool $version is built, in $SECONDS s"
}

build_once() {
    need_go
    has flock || lacks "apt-get install util-linux"
    mkdir -p "$folder"
    exec 9>"$folder/lock"
    flock -n 9 || { say "another make is building $tool: waiting for it" && flock 9; }
    is_built && return
    rm -rf "$work"
    trap 'rm -rf "$work"' EXIT
    mkdir "$work"
    need_compilers
    build
}

# The one on PATH, where `on_path` takes it, else the one that was built before, else one built now.
bring() {
    on_path && return
    if is_built; then say "$tool $version is here"; else build_once; fi
    echo "$binary"
}
