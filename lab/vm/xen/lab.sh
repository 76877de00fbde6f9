# The lab of Xen: a machine emulated by QEMU (no KVM: Xen does not run below
# every one) with Xen 4.17 and libvirt in it. It is booted once and saved; each
# lab goes on from there, in about a second. All its ports are on loopback.

MEMORY=1536
# With two, each waits for the other, which waits for the host: where that has
# work, a guest takes four times as much of it.
PROCESSORS=1
# A guest may have as many as the machine could ever have: more of its own can
# be plugged in, and are not.
POSSIBLE=4
# The addresses that guests take, and whose ssh is a port of this machine.
GUESTS=8

lab_needs() {
    need_packages xen
}

lab_up() {
    local dir=$1 began image saved base
    image=$("$VM/xen/build")
    saved=$(saved_machine "$image" "$dir")
    began=$(milliseconds)
    copy_disk "$image" "$saved" "$dir/disk.qcow2"
    base=$(free_ports)
    start_machine "$image" "$dir" "$base" -monitor none -loadvm ready </dev/null
    wait_for 60 answers_or_died "$dir" "$base" && runs "$dir" || {
        tail -n 20 "$dir"/*.log >&2
        die "Xen does not answer; the end of what it said is above"
    }
    cat >"$dir/lab.json.new" <<JSON
{
  "kind": "xen",
  "uris": {"xen": "xen+tcp://127.0.0.1:$((base + 1))/"},
  "ssh": {"host": "127.0.0.1", "port": $base, "user": "root", "key": "$image/id_ed25519"},
  "bridge": "xenbr0",
  "ipv4": {"subnet": "10.0.2.0/24", "host": "10.0.2.2", "first": "10.0.2.100", "last": "10.0.2.$((99 + GUESTS))"},
  "guest_ssh": {$(for guest in $(seq 0 $((GUESTS - 1))); do
      printf '%s"10.0.2.%s": %s' "$([ "$guest" = 0 ] || echo ', ')" $((100 + guest)) $((base + 2 + guest))
  done)},
  "machine": {"kernel": "$image/guests/vmlinux", "initrd": "$image/guests/initrd",
              "cmdline": "console=hvc0 quiet ip={address}::{gateway}::{hostname}:eth0", "memory_mib": 96},
  "idle": {"kernel": "$image/guests/idlepv", "memory_mib": 8},
  "in_dom0": "/var/lib/xenlab",
  "pool": "default", "pool_path": "/var/lib/libvirt/images"
}
JSON
    mv "$dir/lab.json.new" "$dir/lab.json"
    say "xen: xen+tcp://127.0.0.1:$((base + 1))/; ready after $(($(milliseconds) - began)) ms"
}

# start_machine IMAGE DIR PORTS OPTION...: in the background, as DIR/pid, with
# our stdin
start_machine() {
    local image=$1 dir=$2 base=$3 forwards guest; shift 3
    forwards="hostfwd=tcp:127.0.0.1:$base-:22,hostfwd=tcp:127.0.0.1:$((base + 1))-:16509"
    for guest in $(seq 0 $((GUESTS - 1))); do
        forwards+=",hostfwd=tcp:127.0.0.1:$((base + 2 + guest))-10.0.2.$((100 + guest)):22"
    done
    : >"$dir/console.log"
    setsid qemu-system-x86_64 -name xenlab -M q35 -accel tcg,thread=multi,tb-size=512 \
        -cpu qemu64,+svm,+npt,+x2apic -smp "$PROCESSORS,maxcpus=$POSSIBLE" -m "$MEMORY" -display none -vga none -no-reboot \
        -serial "file:$dir/console.log" \
        -kernel "$image/xen" -append "console=com1 com1=115200,8n1 dom0_mem=512M,max:512M dom0_max_vcpus=$PROCESSORS loglvl=warning guest_loglvl=warning noreboot" \
        -initrd "$image/vmlinux console=hvc0 quiet panic=-1,$image/boot.cpio" \
        -drive "file=$dir/disk.qcow2,if=virtio,format=qcow2,cache=unsafe" \
        -netdev "user,id=n0,$forwards" -device virtio-net-pci,netdev=n0,romfile= \
        "$@" <&0 >"$dir/qemu.log" 2>&1 &
    echo $! >"$dir/pid"
    disown
}

# saved_machine IMAGE DIR: the machine as it was when libvirt first answered,
# in a disk of its own over that of the image. Another QEMU cannot go on from
# there. Prints the file.
saved_machine() {
    local saved
    saved=$1/ready-$(qemu-system-x86_64 --version | head -n 1 | sha256sum | cut -c1-8)-$PROCESSORS-$POSSIBLE.qcow2
    if [ ! -e "$saved" ]; then
        exec 8<"$1"
        flock 8
        [ -e "$saved" ] || boot_and_save "$1" "$2" "$saved" 8<&-
        exec 8<&-
    fi
    echo "$saved"
}

boot_and_save() {
    local image=$1 dir=$2 saved=$3 began monitor
    began=$(milliseconds)
    say "xen: booting it, for the first time (half a minute)"
    qemu-img create -q -f qcow2 -b "$image/dom0.qcow2" -F qcow2 "$dir/disk.qcow2"
    mkfifo "$dir/monitor"
    exec {monitor}<>"$dir/monitor"
    start_machine "$image" "$dir" "$(free_ports)" -monitor stdio <"$dir/monitor" {monitor}>&-
    if wait_for 300 booted_or_died "$dir" && runs "$dir"; then
        printf 'stop\nsavevm ready\nquit\n' >&"$monitor"
        wait_for 120 has_ended "$(cat "$dir/pid")" || true
    fi
    exec {monitor}>&-
    if runs "$dir" || ! qemu-img snapshot -l "$dir/disk.qcow2" | grep -q ready; then
        tail -n 30 "$dir"/*.log >&2
        die "Xen did not boot; the end of what it said is above"
    fi
    # Relative, so that the folder can be moved.
    qemu-img rebase -u -f qcow2 -b dom0.qcow2 -F qcow2 "$dir/disk.qcow2"
    mv "$dir/disk.qcow2" "$saved"
    rm "$dir/monitor"
    say "xen: booted and saved in $((($(milliseconds) - began) / 1000)) s"
}

# copy_disk IMAGE SAVED FILE
copy_disk() {
    cp --reflink=auto "$2" "$3"
    qemu-img rebase -u -f qcow2 -b "$1/dom0.qcow2" -F qcow2 "$3"
}

# The first of some ports that are all free.
free_ports() {
    local base used port
    used=$(ss -Hltn | awk '{ sub(/.*:/, "", $4); print $4 }')
    for base in $(seq 16600 20 17580); do
        for port in $(seq "$base" $((base + 1 + GUESTS))); do
            ! grep -qx "$port" <<<"$used" || continue 2
        done
        echo "$base"
        return
    done
    die "no free ports from 16600 on"
}

runs() { lives "$(cat "$1/pid" 2>/dev/null)" "$1/disk.qcow2"; }
booted_or_died() { grep -q DOM0-READY "$1/console.log" || ! runs "$1"; }
answers() { timeout 5 virsh -q -c "xen+tcp://127.0.0.1:$1/" version >/dev/null 2>&1; }
answers_or_died() { answers "$(($2 + 1))" || ! runs "$1"; }

lab_is_up() { runs "$1"; }
lab_status() { virsh -c "$(sed -n 's/.*"xen": "\(.*\)".*/\1/p' "$1/lab.json")" list --all; }

lab_down() {
    ! runs "$1" || end_process "$(cat "$1/pid")" 10
}
