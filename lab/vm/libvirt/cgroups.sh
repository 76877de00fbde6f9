# The cgroups of the lab: one of its own in each hierarchy, which is the root
# of all that its processes see and make. Sourced.

has_version_2_alone() { [ -e /sys/fs/cgroup/cgroup.controllers ]; }

# A cgroup of this name in each hierarchy; prints their folders.
make_cgroups() {
    local controllers path mounted folder
    while IFS=: read -r _ controllers path; do
        if [ -n "$controllers" ]; then
            mounted=$(findmnt -n -o TARGET -t cgroup -O "$controllers" | head -n 1)
        else
            # Below the root: our own, a session's say, has processes, and one
            # that has some cannot share out controllers.
            mounted=$(findmnt -n -o TARGET -t cgroup2 | head -n 1)
            path=/
        fi
        [ -n "$mounted" ] || continue
        folder=${mounted%/}${path%/}
        mkdir -p "$folder/$1"
        echo "$folder/$1"
        # A new cpuset of version 1 takes nobody until it has something to give.
        if [ -e "$folder/cgroup.clone_children" ] && [ -e "$folder/cpuset.cpus" ]; then
            cat "$folder/cpuset.cpus" >"$folder/$1/cpuset.cpus"
            cat "$folder/cpuset.mems" >"$folder/$1/cpuset.mems"
        fi
    done </proc/self/cgroup
    if has_version_2_alone; then
        echo "+cpu +cpuset +io +memory +pids" >/sys/fs/cgroup/cgroup.subtree_control || true
    fi
}

# leave_cgroup PID FOLDER: one that has processes cannot share out controllers
leave_cgroup() {
    mkdir -p "$2/daemon"
    echo "$1" >"$2/daemon/cgroup.procs"
}

remove_cgroup() { [ ! -e "$1" ] || find "$1" -depth -type d -exec rmdir {} + 2>/dev/null; }
