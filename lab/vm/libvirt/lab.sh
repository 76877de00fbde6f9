# The lab of libvirt: a libvirtd of its own in namespaces of its own, with the
# drivers test, lxc and qemu (emulated), on a unix socket, TCP and TLS.
#
#   this machine            | namespaces: mounts, links, processes, cgroups
#   rmvirtN 10.78.N.1 ------|- br0 10.78.N.2: libvirtd, and its guests' links
#
# All links and mounts that it makes are in them, and all processes end with
# their first.
. "$VM/libvirt/certificates.sh"
. "$VM/libvirt/cgroups.sh"
. "$VM/libvirt/configuration.sh"

lab_needs() {
    need_root libvirt 'links, mounts and cgroups'
    need_packages libvirt
}

lab_up() {
    local dir=$1 began image machine number address
    image=$("$VM/image/build")
    machine=$("$VM/image/build-machine")
    began=$(milliseconds)
    mkdir -p "$dir"/{etc,run,lib,log,cache,sock,rootfs}
    number=$(claim add_veth)
    address=10.78.$number.2
    echo "rmvirt$number" >"$dir/link"
    ip address add "10.78.$number.1/24" dev "rmvirt$number"
    ip address add "fd00:78:$number::1/64" dev "rmvirt$number" nodad
    ip link set "rmvirt$number" up
    make_certificates "$dir/pki" "$dir/pki-stranger" "$address"
    configure "$dir" "$address"
    start_namespaces "$dir" "rmvirt$number" "$number"
    wait_for 20 answers_or_died "$dir" && runs "$dir" || {
        tail -n 20 "$dir"/log/*.log >&2
        die "libvirtd does not answer; the end of what it said is above"
    }
    cat >"$dir/lab.json.new" <<JSON
{
  "kind": "libvirt",
  "socket": "$dir/sock/libvirt-sock",
  "pki": "$dir/pki",
  "pki_stranger": "$dir/pki-stranger",
  "uris": {
    "test": "$(socket_uri "$dir" test:///default)",
    "lxc": "$(socket_uri "$dir" lxc:///system)",
    "qemu": "$(socket_uri "$dir" qemu:///system)",
    "test_tcp": "test+tcp://$address/default",
    "test_tls": "test+tls://$address/default?pkipath=$dir/pki",
    "test_tls_stranger": "test+tls://$address/default?pkipath=$dir/pki-stranger"
  },
  "daemon": "$VM/libvirt/daemon",
  "log": "$dir/log/libvirtd.log",
  "rootfs": "$dir/rootfs",
  "bridge": "br0",
  "vlans": {"10": "br0.10"},
  "ipv4": {"subnet": "10.78.$number.0/24", "host": "10.78.$number.1",
           "first": "10.78.$number.10", "last": "10.78.$number.250"},
  "ipv6": {"subnet": "fd00:78:$number::/64", "host": "fd00:78:$number::1",
           "first": "fd00:78:$number::10", "last": "fd00:78:$number::ffff"},
  "image": $(cat "$image/image.json"),
  "machine": $(cat "$machine/machine.json")
}
JSON
    mv "$dir/lab.json.new" "$dir/lab.json"
    say "libvirt: $dir/sock/libvirt-sock, TLS on $address:16514; ready after $(($(milliseconds) - began)) ms"
}

add_veth() { ip link add "rmvirt$1" type veth peer name "rmvirt$1-in"; }

# start_namespaces DIR LINK NUMBER
start_namespaces() {
    local dir=$1 link=$2 number=$3 pid
    make_cgroups "$link" >"$dir/cgroups"
    (
        while read -r folder; do echo "$BASHPID" >"$folder/cgroup.procs"; done <"$dir/cgroups"
        exec setsid unshare --mount --propagation slave --net --pid --cgroup --fork --kill-child \
            "$VM/libvirt/first" "$dir" "$link" "$number"
    ) </dev/null >"$dir/log/first.log" 2>&1 &
    pid=$!
    disown
    echo "$pid" >"$dir/pid"
    wait_for 5 has_own_net "$pid"
    ip link set "$link-in" netns "$pid"
    if has_version_2_alone; then leave_cgroup "$pid" "/sys/fs/cgroup/$link"; fi
}

has_own_net() { [ "$(readlink "/proc/$1/ns/net")" != "$(readlink /proc/self/ns/net)" ]; }

socket_uri() { echo "${2/:/+unix:}?socket=$1/sock/libvirt-sock"; }
answers() { timeout 5 virsh -q -c "$(socket_uri "$1" test:///default)" version >/dev/null 2>&1; }
runs() { lives "$(cat "$1/pid" 2>/dev/null)" "libvirt/first $1 "; }
answers_or_died() { answers "$1" || ! runs "$1"; }

lab_is_up() { runs "$1" && answers "$1"; }

lab_status() {
    local uri
    for uri in test:///default lxc:///system qemu:///system; do
        echo "$uri"
        virsh -q -c "$(socket_uri "$1" "$uri")" list --all
    done
}

lab_down() {
    local dir=$1 pid folder
    # With the first process all end that are in its namespaces.
    if runs "$dir"; then
        pid=$(cat "$dir/pid")
        kill -KILL "$pid"
        wait_for 10 has_ended "$pid" || say "libvirt: process $pid does not end"
    fi
    [ ! -e "$dir/link" ] || ip link delete "$(cat "$dir/link")" 2>/dev/null || true
    [ ! -e "$dir/cgroups" ] || while read -r folder; do
        wait_for 10 remove_cgroup "$folder" || say "libvirt: $folder does not go"
    done <"$dir/cgroups"
}
