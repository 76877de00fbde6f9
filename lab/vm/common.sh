# What the scripts of these labs share. Sourced by each, run by none.
set -euo pipefail
export LC_ALL=C
# Debian keeps what only root needs out of other people's PATH.
PATH=$PATH:/usr/sbin:/sbin
VM=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
SELF=$(readlink -f "$0")

say() { printf '[%(%H:%M:%S)T] %s\n' -1 "$*" >&2; }
die() { printf 'lab/vm: %s\n' "$*" >&2; exit 1; }
milliseconds() { echo $((${EPOCHREALTIME/./} / 1000)); }

# What is kept between labs and between checkouts.
cache_dir() {
    if [ -n "${RM_CACHE_DIR:-}" ]; then realpath -m "$RM_CACHE_DIR"
    elif [ -n "${XDG_CACHE_HOME:-}" ]; then realpath -m "$XDG_CACHE_HOME/resource-manager"
    else realpath -m "$HOME/.cache/resource-manager"; fi
}

# A short name for the contents of some files, in whatever folder they are.
fingerprint() { cat "$@" | sha256sum | cut -c1-16; }

# wait_for SECONDS COMMAND...: until it succeeds
wait_for() {
    local end=$(($(milliseconds) + $1 * 1000)); shift
    until "$@"; do
        [ "$(milliseconds)" -lt "$end" ] || return 1
        sleep 0.02
    done
}

# Whether process $1 lives and its command line names $2, for a number found
# in a file may by now be somebody else's.
lives() {
    [ -n "$1" ] && tr '\0' ' ' 2>/dev/null <"/proc/$1/cmdline" | grep -qF -- "$2"
}
has_ended() { ! kill -0 "$1" 2>/dev/null || grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null; }

# end_process PID SECONDS: politely, then by force
end_process() {
    kill "$1" 2>/dev/null || return 0
    wait_for "$2" has_ended "$1" || { kill -KILL "$1" 2>/dev/null || true; wait_for 5 has_ended "$1"; }
}

# Labs beside each other: $1 is a function that takes a number and claims it.
claim() {
    local number
    for number in $(seq 0 99); do
        if "$1" "$number" 2>/dev/null; then echo "$number"; return; fi
    done
    die "$1: 0 to 99 are all taken; \`ip link\` shows by whom"
}

# fetch_packages DIR PACKAGE...: what is in Debian packages, not installed
fetch_packages() {
    local into=$1 packages; shift
    packages=$(mktemp -d)
    download() { (cd "$packages" && apt-get download -qq -o APT::Sandbox::User=root "$@") >&2; }
    # A fresh machine knows no packages yet.
    download "$@" || { apt-get update -qq >&2 && download "$@"; }
    mkdir -p "$into"
    local file
    for file in "$packages"/*.deb; do dpkg-deb -x "$file" "$into"; done
    rm -rf "$packages"
}
