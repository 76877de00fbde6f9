# The configuration of the lab's libvirtd. Sourced.

# configure DIR ADDRESS
configure() {
    local dir=$1
    cat >"$dir/etc/libvirtd.conf" <<CONF
unix_sock_dir = "$dir/sock"
unix_sock_rw_perms = "0700"
auth_unix_ro = "none"
auth_unix_rw = "none"
listen_addr = "$2"
listen_tcp = 1
auth_tcp = "none"
listen_tls = 1
auth_tls = "none"
ca_file = "$dir/pki/cacert.pem"
cert_file = "$dir/pki/servercert.pem"
key_file = "$dir/pki/serverkey.pem"
crl_file = ""
# Not every machine has one of its own to tell.
host_uuid = "$(cat /proc/sys/kernel/random/uuid)"
max_clients = 500
max_workers = 64
log_outputs = "2:file:$dir/log/libvirtd.log"
CONF
    # There is no virtlogd. QEMU runs as root.
    cat >"$dir/etc/qemu.conf" <<CONF
stdio_handler = "file"
security_driver = "none"
user = "root"
group = "root"
remember_owner = 0
namespaces = []
cgroup_controllers = []
CONF
    # The driver of QEMU will not start without this user, whom it does not use.
    local what
    for what in passwd group; do cp "/etc/$what" "$dir/etc/$what"; done
    grep -q ^libvirt-qemu: "$dir/etc/passwd" ||
        echo libvirt-qemu:x:64055:64055::/var/lib/libvirt:/usr/sbin/nologin >>"$dir/etc/passwd"
    grep -q ^libvirt-qemu: "$dir/etc/group" || echo libvirt-qemu:x:64055: >>"$dir/etc/group"
}
