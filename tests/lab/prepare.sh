# What a lab is made from: host programs, root image, kernel. Sourced by lab; everything lands in $cache, made once.

packages() { sed 's/#.*//' "$here/packages.txt" | xargs | tr ' ' ,; }

# The name tells what the image is made from, so that an old one is never used for a new list.
image_path() {
    echo "$cache/root-$({ packages; declare -f build_image; } | sha256sum | cut -c1-12).ext4"
}

# need PROGRAM:PACKAGE...: installs the packages whose program is missing.
need() {
    local pair missing=() log=$cache/apt.log
    for pair in "$@"; do
        command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    [ "$(id -u)" -eq 0 ] || die "not root, and packages are missing: ${missing[*]}"
    command -v apt-get >/dev/null || die "no apt-get to install ${missing[*]}"
    note "installing ${missing[*]}"
    apt_install "${missing[@]}" >"$log" 2>&1 || { apt-get update >>"$log" 2>&1 && apt_install "${missing[@]}" >>"$log" 2>&1; } || {
        tail -n 5 "$log" >&2
        die "packages missing and apt-get cannot bring them: ${missing[*]}"
    }
}

apt_install() { DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"; }

# build_image FILE: an ext4 file system of the packages, the same for both engines.
build_image() {
    local root=$1.d log=$cache/image.log sources=() alone=() file proxy
    rm -rf "$cache"/root-*.d "$cache"/root-*.new
    # The guest comes from where the host's Debian packages come from.
    for file in /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list; do
        if grep -qsE '^[^#]*(deb |Suites)' "$file"; then
            sources=("$file")
            break
        fi
    done
    proxy=$(apt-config shell P Acquire::http::Proxy)
    proxy=${proxy#P=}
    # In name spaces of its own where they are allowed: nothing runs or is mounted on when we are killed.
    ! unshare --pid --fork --mount-proc true 2>/dev/null ||
        alone=(setpriv --pdeathsig KILL unshare --pid --fork --kill-child --mount-proc)
    "${alone[@]}" mmdebstrap --mode=root --variant=minbase --quiet --include="$(packages)" \
        ${proxy:+--aptopt="Acquire::http::Proxy \"${proxy//\'/}\""} \
        --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' --dpkgopt=force-unsafe-io \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
        "$(. /etc/os-release && echo "$VERSION_CODENAME")" "$root" "${sources[@]}" >"$log" 2>&1 || {
        tail -n 15 "$log" >&2
        rm -rf "$root"
        die "the root image cannot be made (no network?), see $log"
    }
    mkdir -p "$root"/lab/{host,run} "$root/repo" "$root/lib/modules" "$root/usr/share/dotnet" "$root/opt/powershell"
    # PID 1 only finds the host's folder; all else is guest/init there, so that a change to it needs no new image.
    cat >"$root/lab/boot" <<'BOOT'
#!/bin/bash
mountpoint -q /proc || mount -t proc proc /proc
for word in $(</proc/cmdline); do
    case $word in lab_*=*) export "${word?}" ;; esac
done
if [ "$lab_fs" = hostfs ]; then
    mount -t hostfs -o "$lab_host" none /lab/host
else
    mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144,ro host /lab/host
fi
exec /lab/host/guest/init
BOOT
    chmod 755 "$root/lab/boot"
    echo lab >"$root/etc/hostname"
    printf '127.0.0.1 localhost lab\n::1 localhost\n' >"$root/etc/hosts"
    # No activation by events (it needs systemd-run), and no 8 MiB of memory touched and locked by every lvm command.
    cat >"$root/etc/lvm/lvmlocal.conf" <<'CONF'
activation {
    reserved_memory = 256
    reserved_stack = 64
}
global {
    event_activation = 0
}
CONF
    cat >"$root/etc/multipath.conf" <<'CONF'
defaults {
    find_multipaths no
    user_friendly_names yes
}
blacklist {
    devnode "^(ubd|vd)"
}
CONF
    mke2fs -q -t ext4 -m 0 -E root_owner=0:0 -d "$root" "$1.new" 3G >>"$log" 2>&1 || {
        rm -rf "$root" "$1.new"
        die "mke2fs failed, see $log"
    }
    rm -rf "$root"
    mv "$1.new" "$1"
}

# Sets image, and makes it where it is not there.
make_image() {
    image=$(image_path)
    [ ! -f "$image" ] || return 0
    need mmdebstrap:mmdebstrap mke2fs:e2fsprogs
    [ "$(id -u)" -eq 0 ] || die "not root, and the root image is not made yet"
    local start=$EPOCHSECONDS
    note "building the root image (once, some minutes)"
    build_image "$image"
    note "root image built in $((EPOCHSECONDS - start)) s, $(du -h "$image" | cut -f 1)"
    find "$cache" -maxdepth 1 -name 'root-*.ext4' -mtime +14 -delete
}

# Sets engine. auto is the quicker one here, which one try each tells; the answer is kept for this CPU and kernel.
choose_engine() {
    engine=${LAB_ENGINE:-auto}
    local answer
    answer=$cache/quicker-$({ grep -m 1 'model name' /proc/cpuinfo && uname -r; } | sha256sum | cut -c 1-12)
    case $engine in
        uml | qemu) return ;;
        auto) ;;
        *) die "LAB_ENGINE is uml, qemu or auto, not '$engine'" ;;
    esac
    if [ ! -f "$answer" ]; then
        quicker_engine >"$answer.new" || die "neither User-mode Linux nor qemu boots here"
        mv "$answer.new" "$answer"
    fi
    engine=$(cat "$answer")
}

# Process starts decide how long tests take: where tracing processes is dear, User-mode Linux takes five times as long over one,
# and emulation is the quicker of the two.
quicker_engine() {
    local uml qemu
    uml=$(probe uml)
    if [ -n "$uml" ] && [ "$uml" -lt 300 ]; then echo uml && return; fi
    note "User-mode Linux $([ -n "$uml" ] && echo "is slow" || echo "cannot boot") here, trying qemu"
    qemu=$(probe qemu)
    [ -n "$uml$qemu" ] || return
    if [ "${qemu:-999999}" -lt "${uml:-999999}" ]; then echo qemu; else echo uml; fi
}

# How long 20 process starts take, in hundredths of a second; nothing where it does not boot. In a subshell: what ends it is no end of ours.
probe() (
    engine=$1 name=probe-$$ state=$cache/run/probe-$$
    if [ "$engine" = qemu ]; then prepare_qemu; else need linux.uml:user-mode-linux; fi >&2
    trap drop EXIT
    trap 'exit 1' INT TERM HUP
    fresh_boot >&2
    start=${EPOCHREALTIME/[.,]/}
    lab_exec --cwd / -- bash -c 'for i in {1..20}; do lvm version || exit; done' >/dev/null || exit
    echo $(((${EPOCHREALTIME/[.,]/} - start) / 10000))
)
