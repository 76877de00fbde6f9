# The Debian packages that each lab needs. Sourced.

packages_of() {
    case $1 in
    lxc) echo lxc rsync iproute2 openssh-client ;;
    libvirt) echo libvirt-daemon libvirt-daemon-driver-lxc libvirt-daemon-driver-qemu libvirt-clients \
        iproute2 iptables openssl openssh-client kmod cpio ipxe-qemu seabios "${QEMU[@]}" ;;
    xen) echo libvirt-clients iproute2 openssh-client qemu-utils ipxe-qemu seabios "${QEMU[@]}" ;;
    # To build what the benchmarks compare our list of domains with.
    virt) echo libvirt-dev pkg-config gcc libc6-dev ;;
    # To make the image of the Xen lab, once.
    xen-build) echo debootstrap rsync cpio e2fsprogs xz-utils zstd kmod binutils gcc python3 ;;
    esac
}
QEMU=(qemu-system-x86 qemu-system-common qemu-system-data)

missing_of() {
    local package
    for package in $(packages_of "$1"); do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || echo "$package"
    done
}

# Install what lab $1 needs; without root, name it and stop.
need_packages() {
    local missing; missing=$(missing_of "$1" | xargs)
    [ -n "$missing" ] || return 0
    [ "$EUID" = 0 ] && command -v apt-get >/dev/null ||
        die "missing on this machine: $missing"$'\n'"as root: apt-get install -y --no-install-recommends $missing"
    say "installing: $missing"
    install_packages $missing
    # Of libvirt-daemon-system only these, for it would start a libvirtd and a
    # network of its own.
    [ "$1" != libvirt ] || mkdir -p /var/{lib,log,cache}/libvirt
}

# need_root KIND WHAT: refuse what only root may, and say what is missing
need_root() {
    [ "$EUID" != 0 ] || return 0
    local missing; missing=$(missing_of "$1" | xargs)
    die "this makes $2, for which it must be root: run it again with sudo" \
        ${missing:+$'\n'"missing on this machine: $missing"$'\n'"as root: apt-get install -y --no-install-recommends $missing"}
}

apt() {
    DEBIAN_FRONTEND=noninteractive apt-get "${APT[@]}" -o DPkg::Lock::Timeout=900 -y -qq "$@" >&2
}
APT=()

install_packages() {
    # A qemu-utils from backports breaks the stock QEMU (7.2): then QEMU comes
    # from backports, too.
    if [[ $* == *qemu-system* && $(dpkg-query -W -f '${Version}' qemu-utils 2>/dev/null) == *bpo* ]]; then
        local sources; sources=$(mktemp -d)
        use_backports "$sources"
        set -- $(printf '%s\n' "$@" | sed -E 's,^(qemu-.*|seabios)$,&/bookworm-backports,')
    fi
    # A fresh machine knows no packages yet.
    apt install --no-install-recommends "$@" || { apt update && apt install --no-install-recommends "$@"; }
    [ -z "${sources:-}" ] || rm -rf "$sources"
    APT=()
}

# From here on apt uses a list of sources of its own, with backports, from
# where this machine has its other packages; the machine's own is not touched.
use_backports() {
    local site; site=$(debian_mirror)
    mkdir -p "$1/lists/partial"
    printf "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $site bookworm%s main\n" \
        '' -updates -backports >"$1/sources.list"
    APT=(-o Dir::Etc::sourcelist="$1/sources.list" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$1/lists")
    apt update
}

debian_mirror() { apt-get indextargets --format '$(SITE)' 'Codename: bookworm' | grep -v security | head -1; }
