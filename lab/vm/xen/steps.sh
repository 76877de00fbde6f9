# The steps by which the image of the Xen lab is made. Sourced.

need_space() {
    local free; free=$(df --output=avail -BM "$1" | tail -n 1 | tr -dc 0-9)
    [ "$free" -ge "$2" ] || die "$1 has $free MiB free, and the image needs $2 for a while"
}

# A Debian with Xen, libvirt and a kernel in a folder of the cache: what takes
# minutes, and does not change with our own files. Prints the folder.
debian_with_xen() {
    local base
    local tools=ca-certificates,busybox-static,iproute2,kmod,openssh-server,procps
    # By iptables libvirt closes off the networks that it makes.
    local packages=(xen-hypervisor-4.17-amd64 xen-utils-4.17 libvirt-daemon libvirt-daemon-driver-xen
        libvirt-clients iptables initramfs-tools linux-image-amd64)
    base=$(cache_dir)/vm-xen/debian-$(echo "$tools ${packages[*]}" | sha256sum | cut -c1-16)
    if [ ! -e "$base.done" ]; then
        rm -rf "$base"
        install_debian "$base" "$tools" "${packages[@]}" >"$base.log" 2>&1 || {
            tail -n 20 "$base.log" >&2
            die "the Debian of the image could not be made; the end of $base.log is above"
        }
        touch "$base.done"
    fi
    echo "$base"
}

# install_debian DIR TOOLS PACKAGE...: TOOLS are there first
install_debian() {
    local base=$1 tools=$2 mirror; shift 2
    mirror=$(debian_mirror) &&
        debootstrap --variant=minbase --include="$tools" bookworm "$base" "$mirror" &&
        echo "deb $mirror-security bookworm-security main" >>"$base/etc/apt/sources.list" &&
        # Nothing is started by being installed.
        printf '#!/bin/sh\nexit 101\n' >"$base/usr/sbin/policy-rc.d" &&
        chmod +x "$base/usr/sbin/policy-rc.d" &&
        mount -t proc proc "$base/proc" &&
        chroot "$base" apt-get update &&
        DEBIAN_FRONTEND=noninteractive chroot "$base" apt-get install -y --no-install-recommends "$@" &&
        umount "$base/proc"
}

# make_guests DEBIAN DIR IMAGE: what guests boot
make_guests() {
    mkdir -p "$2"
    ln -f "$3/vmlinux" "$2/"
    make_initrd "$1" "$2/initrd" xen-blkfront xen-netfront isofs vfat nls_cp437 nls_ascii
    gcc -c -o "$2/idlepv.o" "$VM/xen/idlepv.S"
    ld --no-warn-rwx-segments -z max-page-size=4096 -T "$VM/xen/idlepv.lds" -o "$2/idlepv" "$2/idlepv.o"
    strip "$2/idlepv"
    rm "$2/idlepv.o"
}

# make_dom0 DEBIAN DIR GUESTS KEY
make_dom0() {
    local debian=$1 dir=$2 version module driver
    version=$(basename "$debian"/lib/modules/*)
    rsync -a --exclude='/boot/*' --exclude=/usr/lib/modules --exclude=/lib/modules --exclude='/proc/*' \
        --exclude=/usr/share/{doc,man,locale,i18n,zoneinfo} --exclude=/var/{cache,lib}/apt --exclude=__pycache__ \
        "$debian/" "$dir/"
    mkdir -p "$dir/usr/lib/modules/$version"
    cp "$debian/lib/modules/$version"/modules.{order,builtin,builtin.modinfo} "$dir/usr/lib/modules/$version/"
    for module in $(modules_for "$debian" virtio_pci virtio_blk virtio_net ext4 crc32c_generic loop bridge tun \
        xenfs xen-evtchn xen-gntdev xen-gntalloc xen-privcmd xen-blkback xen-netback 8021q \
        nft_compat nft_chain_nat xt_tcpudp ipt_REJECT); do
        (cd "$debian" && cp --parents "usr/lib/modules/${module##*/lib/modules/}" "$dir/")
    done
    depmod -b "$dir" "$version"
    cp -r "$VM/xen/dom0/." "$dir/"
    install -D -m 600 "$4" "$dir/root/.ssh/authorized_keys"
    mkdir -p "$dir"/var/lib/{xenlab,libvirt/images,xenstored} "$dir"/var/log/{xen,libvirt/libxl}
    cp "$3"/* "$dir/var/lib/xenlab/"

    # The other drivers want users and tools that are not here.
    for driver in qemu lxc vbox nodedev nwfilter interface secret; do
        rm -f "$dir/usr/lib/x86_64-linux-gnu/libvirt/connection-driver/libvirt_driver_$driver.so"
    done
    # libvirt must find a name for the CPU of the host. The emulated one has no
    # VME and is none that libvirt knows: so the oldest does without it.
    sed -i "/name='vme'/d" "$dir/usr/share/libvirt/cpu_map/x86_486.xml"
    cat >>"$dir/etc/xen/xl.conf" <<CONF
vif.default.bridge="xenbr0"
vif.default.script="vif-fast"
lockfile="/run/lock/xl"
CONF
}

# make_boot DEBIAN DIR FILE: dom0's initial RAM disk
make_boot() {
    local debian=$1 dir=$2 applet module
    mkdir -p "$dir"/{bin,dev,proc,sys,newroot,lib/modules}
    cp "$debian/bin/busybox" "$dir/bin/"
    for applet in sh mount insmod sleep switch_root; do ln -s busybox "$dir/bin/$applet"; done
    for module in $(modules_for "$debian" virtio_pci virtio_blk ext4 crc32c_generic); do
        cp "$module" "$dir/lib/modules/"
        basename "$module"
    done >"$dir/lib/modules/order"
    cp "$VM/xen/boot-init" "$dir/init"
    (cd "$dir" && find . | cpio -o -H newc --quiet) >"$3"
}

# make_disk DIR EXT4 QCOW2
make_disk() {
    truncate -s "$(($(du -sm "$1" | cut -f1) + 400))M" "$2"
    # Without journal and checksums: it is thrown away after each run.
    mke2fs -q -t ext4 -O ^has_journal,^metadata_csum -m 0 -d "$1" "$2"
    qemu-img convert -O qcow2 "$2" "$3.new"
    mv "$3.new" "$3"
}
