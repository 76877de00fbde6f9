# The lab of the lxc-* tools: a bridge of its own, and a folder for containers.
# The bridge has an address of this machine, and leads nowhere else. Two more
# are what VLANs are on a host that has some: a bridge for each.

lab_needs() {
    need_root lxc 'links, mounts and cgroups'
    need_packages lxc
}

lab_up() {
    local dir=$1 began image number vlan
    image=$("$VM/image/build")
    began=$(milliseconds)
    mkdir "$dir/containers"
    number=$(claim add_bridge)
    echo "rmlxc$number" >"$dir/bridge"
    ip address add "10.77.$number.1/24" dev "rmlxc$number"
    ip address add "fd00:77:$number::1/64" dev "rmlxc$number" nodad
    ip link set "rmlxc$number" up
    for vlan in 10 20; do
        ip link add "rmlxc$number.$vlan" type bridge forward_delay 0
        ip link set "rmlxc$number.$vlan" up
    done
    cat >"$dir/lab.json.new" <<JSON
{
  "kind": "lxc",
  "lxcpath": "$dir/containers",
  "bridge": "rmlxc$number",
  "vlans": {"10": "rmlxc$number.10", "20": "rmlxc$number.20"},
  "ipv4": {"subnet": "10.77.$number.0/24", "host": "10.77.$number.1",
           "first": "10.77.$number.10", "last": "10.77.$number.250"},
  "ipv6": {"subnet": "fd00:77:$number::/64", "host": "fd00:77:$number::1",
           "first": "fd00:77:$number::10", "last": "fd00:77:$number::ffff"},
  "image": $(cat "$image/image.json")
}
JSON
    mv "$dir/lab.json.new" "$dir/lab.json"
    say "lxc: bridge rmlxc$number, 10.77.$number.0/24; ready after $(($(milliseconds) - began)) ms"
}

add_bridge() { ip link add "rmlxc$1" type bridge forward_delay 0; }

lab_is_up() { ip link show "$(cat "$1/bridge")" >/dev/null 2>&1; }

lab_status() {
    ip -brief address show dev "$(cat "$1/bridge")"
    lxc-ls -P "$1/containers" -f
}

lab_down() {
    local dir=$1 bridge name names=()
    bridge=$(cat "$dir/bridge" 2>/dev/null || true)
    for name in "$dir"/containers/*/; do
        [ -e "$name/config" ] && names+=("$(basename "$name")")
    done
    for name in "${names[@]}"; do
        lxc-stop -P "$dir/containers" -n "$name" -k >/dev/null 2>&1 &
    done
    wait
    kill_rest "$dir/containers"
    unmount_below "$dir"
    for bridge in $bridge ${bridge:+"$bridge.10" "$bridge.20"}; do
        delete_links_on "$bridge"
        ip link delete "$bridge" 2>/dev/null || true
    done
    remove_links "$dir/containers"
    for name in "${names[@]}"; do remove_cgroups "lxc.payload.$name" "lxc.monitor.$name"; done
    # What LXC's monitors pass through as they end, and leave.
    remove_cgroups lxc.pivot
    remove_locks "$dir/containers"
}

# What a monitor that was killed left behind, and those who tell of changes to
# who is no more (they would tell nobody in a folder of the same name): only
# processes that have our folder, or one in it, on their command line or, in
# another mount namespace than ours, something of it mounted.
kill_rest() {
    local containers=$1 quoted file pid pids=()
    quoted=$(sed 's/[^A-Za-z0-9/_-]/\\&/g' <<<"$containers")
    while read -r file; do
        pid=$(cut -d/ -f3 <<<"$file")
        [[ $file == */mountinfo && $(readlink "/proc/$pid/ns/mnt") == $(readlink /proc/self/ns/mnt) ]] || pids+=("$pid")
    done < <(
        grep -laE "\[lxc monitor\] $quoted(/[^ /]*)? " /proc/[0-9]*/cmdline 2>/dev/null || true
        grep -lzxE -- "$quoted(/[^/]*)?" /proc/[0-9]*/cmdline 2>/dev/null || true
        grep -lF "$containers/" /proc/[0-9]*/mountinfo 2>/dev/null || true
    )
    [ ${#pids[@]} = 0 ] || kill -KILL "${pids[@]}" 2>/dev/null || true
    for pid in "${pids[@]}"; do wait_for 5 has_ended "$pid" || say "lxc: process $pid does not end"; done
}

unmount_below() {
    local where
    while read -r _ where _; do
        if [[ $where == "$1"/* ]]; then umount -l "$where"; fi
    done < <(tac /proc/self/mounts)
}

# The bridges for links between containers below a path, of whose daemon was killed.
remove_links() {
    local link
    for link in /sys/class/net/rml????????????; do
        [[ -e $link && $(cat "$link/ifalias") == "resource-manager:$1"?(/*) ]] || continue
        ip link delete "$(basename "$link")" 2>/dev/null || true
    done
}

delete_links_on() {
    local link
    for link in /sys/class/net/"$1"/brif/*; do
        [ -e "$link" ] && ip link delete "$(basename "$link")" 2>/dev/null || true
    done
}

# Those of these names in which nothing is, in all hierarchies.
remove_cgroups() {
    local name
    for name in "$@"; do
        find /sys/fs/cgroup -depth -type d '(' -path "*/$name" -o -path "*/$name/*" ')' -exec rmdir {} + 2>/dev/null || true
    done
}

# LXC keeps a lock for each container, and the pipe of whoever listens to them,
# in folders named after all of their path.
remove_locks() {
    local folder
    for folder in "run/lxc/lock$1" "run/lxc$1"; do
        rm -rf "/${folder:?}"
        (cd / && rmdir -p "$(dirname "$folder")" 2>/dev/null) || true
    done
}
