#!/bin/sh
# Brings what a command needs onto this machine:
# install.sh runtime | dev | lock | mosquitto | postgresql | chromium | curl | docker
#
# Python packages go into .venv, from the lock and checked against its hashes. Programs come from
# Debian's packages where we are root; else one line says what to install, with exit code 2.
set -eu

PYTHON=${PYTHON:-python3}

say() { printf '%s\n' "· $*"; }
refuse() { printf '%s\n' "$*" >&2; exit 2; }

can_apt() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

# The package of a server would start it as a service: nobody asked for one, so none is started.
apt_install() {
    say "installing $* from the system's packages"
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap 'rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
    log=$(mktemp)
    if ! { apt-get update -q && DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends "$@"; } >"$log" 2>&1 </dev/null; then
        tail -n 15 "$log" >&2
        rm -f "$log"
        refuse "apt-get could not install $*"
    fi
    rm -f "$log"
}

# need PROGRAM PACKAGE: installs the package unless the program is there.
need() {
    PATH=$PATH:/usr/sbin:/usr/local/sbin command -v "$1" >/dev/null && return
    can_apt || refuse "$1 is not installed: apt-get install $2"
    apt_install "$2"
}

need_mosquitto() {
    PATH=$PATH:/usr/sbin:/usr/local/sbin command -v mosquitto >/dev/null && return
    need mosquitto mosquitto
    if [ -d /run/systemd/system ]; then systemctl disable --quiet mosquitto; fi
}

# Debian keeps the server's programs apart from PATH, one folder a version.
need_postgresql() {
    for initdb in /usr/lib/postgresql/*/bin/initdb; do
        [ -x "$initdb" ] && return
    done
    need initdb postgresql
    if [ -d /run/systemd/system ]; then systemctl disable --quiet postgresql; fi
}

# An engine for tests, which start it themselves, and what makes images where no hub has them for us.
need_docker() {
    need iptables iptables
    need debootstrap debootstrap
    if ! PATH=$PATH:/usr/sbin:/usr/local/sbin command -v dockerd >/dev/null; then
        need dockerd docker.io
        if [ -d /run/systemd/system ]; then systemctl disable --quiet docker docker.socket; fi
    fi
    need docker docker-cli
}

need_python() {
    command -v "$PYTHON" >/dev/null || refuse "$PYTHON is not installed: apt-get install python3"
    "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        refuse "$("$PYTHON" --version) is too old: 3.11 or newer is needed, as in make PYTHON=python3.11"
}

# Debian keeps what a virtual environment needs in a package of its own.
need_venv() {
    "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null && return
    can_apt || refuse "$PYTHON cannot make a virtual environment: apt-get install python3-venv"
    apt_install python3-venv
    "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null ||
        refuse "$PYTHON cannot make a virtual environment: it lacks ensurepip"
}

make_venv() {
    [ -x .venv/bin/pip ] && .venv/bin/python -c '' 2>/dev/null && return
    need_python
    need_venv
    say "making .venv with $("$PYTHON" --version)"
    "$PYTHON" -m venv --clear .venv
}

pip() { .venv/bin/pip --quiet --no-input --disable-pip-version-check "$@"; }

from_lock() {
    make_venv
    say "installing $(grep -c '^[a-z]' "requirements/$1.txt") packages from requirements/$1.txt"
    pip install --require-hashes --no-deps -r "requirements/$1.txt"
}

# As plain paths, so that a room made later is found without installing again.
install_project() {
    pip install --no-index --no-deps --no-build-isolation \
        --config-settings editable_mode=compat -e .
}

cd "$(dirname "$0")/.."
case "${1:-}" in
    runtime | dev) from_lock "$1" && install_project ;;
    lock) from_lock lock ;;
    mosquitto) need_mosquitto ;;
    postgresql) need_postgresql ;;
    chromium) need chromium chromium ;;
    curl) need curl curl ;;
    docker) need_docker ;;
    *) refuse "usage: $0 runtime | dev | lock | mosquitto | postgresql | chromium | curl | docker" ;;
esac
