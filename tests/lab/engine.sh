# Starting and ending the kernel of a lab, as User-mode Linux or in qemu. Sourced by lab.
# $state holds the disks and the root overlay; engine and image, what it began with; shares, lines "HOST-PATH GUEST-PATH ro|rw"; jobs/;
# ctl, a pipe for our orders to PID 1; tty.in and tty.out, the terminal of `lab shell`; console, what the kernel printed; pid; ready,
# written by PID 1.

letters=(b c d e f g)

# The process of this lab's kernel, if it is still that process.
kernel_pid() {
    local pid
    pid=$(cat "$state/pid" 2>/dev/null) && grep -qsF "$state/" "/proc/$pid/cmdline" && echo "$pid"
}

alive() { [ -f "$state/ready" ] && kernel_pid >/dev/null; }

# host_folder PROGRAM GUEST-PATH: where a program of this machine lies, as a line of shares.
host_folder() {
    local program
    ! program=$(command -v "$1") || echo "$(dirname "$(readlink -f "$program")") $2 ro"
}

# Disks and shares of a new lab. Sizes are sparse.
make_state() {
    local letter share from to mode
    mkdir -p "$state/jobs"
    for letter in "${letters[@]}"; do truncate -s 4G "$state/disk-$letter.img"; done
    {
        echo "$repo /repo rw"
        host_folder dotnet /usr/share/dotnet
        host_folder pwsh /opt/powershell
        [ ! -d ~/.nuget/packages ] || echo ~/.nuget/packages /root/.nuget/packages ro
        for share in ${LAB_MOUNTS:-}; do
            IFS=: read -r from to mode <<<"$share"
            echo "$(readlink -f "$from") ${to:-$from} ${mode:-rw}"
        done
    } >"$state/shares"
    ! grep -qE '[^ ]+ [^ ]+ [^ ]+ |,' "$state/shares" || die "no blanks or commas in shared paths, please"
    echo "$engine" >"$state/engine"
    echo "$image" >"$state/image"
}

# Boots with the disks and the root that lie in $state; returns when PID 1 takes orders.
boot() {
    local start=$EPOCHREALTIME pid deadline
    rm -rf "$state"/{ready,ctl,tty.in,tty.out,uml}
    mkfifo "$state"/{ctl,tty.in,tty.out}
    # Both ends stay open in the kernel: it never sees an end of file.
    exec 6<>"$state/tty.out" 7<>"$state/tty.in" 8<>"$state/ctl"
    # A session of its own: a signal from the terminal never reaches it, and one signal ends the kernel with all processes it stands in for.
    "boot_$engine" 9>&- >>"$state/console" 2>&1 &
    pid=$!
    disown "$pid"
    echo "$pid" >"$state/pid"
    exec 6>&- 7>&- 8>&-
    deadline=$((SECONDS + boot_limit))
    until [ -f "$state/ready" ]; do
        if ! kill -0 "$pid" 2>/dev/null || [ $SECONDS -ge $deadline ]; then
            tail -n 15 "$state/console" >&2
            return 1
        fi
        sleep 0.1
    done
    note "$name up in $(awk -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }') s ($engine)"
}

# What guest/init reads from the kernel's command line.
# lab_words HOST-SOURCE RUN-SOURCE FILE-SYSTEM DISK-PREFIX CONTROL-TTY SHELL-TTY
lab_words() {
    echo "lab_host=$1 lab_run=$2 lab_fs=$3 lab_disks=$4 lab_ctl=$5 lab_tty=$6 lab_name=$name lab_engine=$engine"
}

boot_uml() {
    local letter disks=() pin=() modules
    modules=$(dirname "$(readlink -f "$(command -v linux.uml)")")/../lib/uml/modules
    for letter in "${letters[@]}"; do disks+=("ubd$letter=$state/disk-$letter.img"); done
    # It runs one process at a time, and a switch between two is a wake-up, dear when it crosses CPUs.
    local cpu=${LAB_CPU:-$(($$ % $(nproc)))}
    ! taskset -c "$cpu" true 2>/dev/null || pin=(taskset -c "$cpu")
    grep -q ' /lib/modules ' "$state/shares" || echo "$(readlink -f "$modules") /lib/modules ro" >>"$state/shares"
    # shellcheck disable=SC2046
    TMPDIR=$(memory_folder) exec setsid "${pin[@]}" linux.uml "mem=$memory" umid=lab "uml_dir=$state/uml" \
        "ubda=$state/root.cow,$image" "${disks[@]}" root=/dev/ubda rw rootfstype=ext4 init=/lab/boot quiet \
        $(lab_words "$here" "$state" hostfs /dev/ubd tty1 tty2) \
        con=null con0=null,fd:1 con1=fd:8,null con2=fd:7,fd:6 ssl=null </dev/null
}

# UML keeps the guest's memory in an unlinked file: in real memory where there is room and programs may be mapped.
memory_folder() {
    local folder
    for folder in /dev/shm /tmp; do
        [ "$(df --output=avail -B 1 "$folder" 2>/dev/null | tail -n 1)" -gt "$(numfmt --from=iec "$memory")" ] || continue
        case ,$(findmnt -no OPTIONS -T "$folder"), in *,noexec,*) ;; *) echo "$folder" && return ;; esac
    done
    echo "$state"
}

# The plug pulled: nothing inside gets a chance to write.
kill_kernel() {
    local pid i
    pid=$(kernel_pid) || return 0
    kill -KILL -- "-$pid" 2>/dev/null
    for ((i = 0; i < 50; i++)); do
        kill -0 -- "-$pid" 2>/dev/null || break
        sleep 0.1
    done
    rm -f "$state/pid" "$state/ready"
}

# Asks PID 1 to stop the units, unmount and power off, and waits for it.
halt_kernel() {
    local pid deadline=$((SECONDS + 180))
    pid=$(kernel_pid) || return 0
    echo "poweroff -" 1<>"$state/ctl"
    while kernel_pid >/dev/null; do
        [ $SECONDS -lt $deadline ] || return 1
        sleep 0.1
    done
    kill -KILL -- "-$pid" 2>/dev/null
    rm -f "$state/pid" "$state/ready"
}
