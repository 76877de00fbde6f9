# The small image as initial RAM disk of a machine. Sourced.

# make_initrd DEBIAN FILE DRIVER...: with these drivers, and what they need,
# of the one kernel that is unpacked in the folder DEBIAN
make_initrd() {
    local debian=$1 file=$2 root module; shift 2
    root=$(mktemp -d)
    tar -xzf "$("$VM/image/build")/rootfs.tar.gz" -C "$root"
    cp "$VM/image/init-vm" "$root/init"
    mkdir -p "$root/lib/modules"
    for module in $(modules_for "$debian" "$@"); do
        cp "$module" "$root/lib/modules/"
        basename "$module"
    done >"$root/lib/modules/order"
    (cd "$root" && find . | cpio -o -H newc --quiet | gzip -9n) >"$file"
    rm -rf "$root"
}

# modules_for DEBIAN DRIVER...: the files of these and of what they need, in
# the order in which they must be loaded; some may be in the kernel
modules_for() {
    local debian=$1 version; shift
    version=$(basename "$debian"/lib/modules/*)
    [ -e "$debian/lib/modules/$version/modules.dep" ] || depmod -b "$debian" "$version"
    modprobe -S "$version" -d "$debian" --show-depends -a "$@" |
        awk '$1 == "insmod" && !seen[$2]++ { print $2 }'
}
