# The lab's kernel in qemu: Debian's stock one, emulated in software. Sourced by lab.

kernel_folder() { echo "$cache/qemu-$(declare -f prepare_qemu | sha256sum | cut -c 1-12)"; }

# A stock kernel, its modules and an initrd that finds the root disk, all from Debian packages and without installing a kernel here.
prepare_qemu() {
    need qemu-system-x86_64:qemu-system-x86 qemu-img:qemu-utils depmod:kmod
    local folder work package version log=$cache/qemu.log
    folder=$(kernel_folder)
    [ ! -d "$folder" ] || return 0
    note "fetching a stock kernel (once)"
    work=$folder.new
    rm -rf "$work"
    mkdir -p "$work/initrd"/{proc,dev,root,modules}
    package=$(apt-cache depends linux-image-amd64 2>/dev/null | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
    (cd "$work" && apt-get download "${package:-linux-image-amd64}" busybox-static) >"$log" 2>&1 ||
        { apt-get update && cd "$work" && apt-get download "${package:-linux-image-amd64}" busybox-static; } >>"$log" 2>&1 || {
        rm -rf "$work"
        die "apt-get cannot bring a kernel for qemu, see $log"
    }
    for package in "$work"/*.deb; do dpkg-deb -x "$package" "$work/files"; done
    version=$(basename "$work"/files/lib/modules/*)
    rm -rf "$work/files/lib/modules/$version/kernel"/{sound,drivers/gpu,drivers/media}
    depmod -b "$work/files" "$version"
    mv "$work"/files/boot/vmlinuz-* "$work/vmlinuz"
    mv "$work/files/bin/busybox" "$work/initrd/busybox"
    local module file
    for module in virtio_pci virtio_blk ext4 9pnet_virtio 9p; do
        modprobe -d "$work/files" -S "$version" --show-depends $module | sed -n 's/^insmod //p'
    done | awk '!seen[$1]++ { print $1 }' | while read -r file; do
        cp "$file" "$work/initrd/modules/"
        echo "insmod /modules/${file##*/}"
    done >"$work/load"
    {
        echo '#!/busybox sh'
        echo 'export PATH=/; for a in mount insmod sleep switch_root; do /busybox ln -s busybox /$a; done'
        echo 'mount -t proc proc /proc; mount -t devtmpfs dev /dev'
        cat "$work/load"
        echo 'until [ -b /dev/vda ]; do sleep 0.1; done; mount -t ext4 /dev/vda /root'
        echo 'mount -o move /dev /root/dev; mount -o move /proc /root/proc; PATH=/usr/sbin:/usr/bin:/sbin:/bin exec /switch_root /root /lab/boot'
    } >"$work/initrd/init"
    chmod 755 "$work/initrd/init"
    (cd "$work/initrd" && find . | ./busybox cpio -o -H newc 2>/dev/null | gzip -1) >"$work/initrd.gz"
    mv "$work/files/lib/modules/$version" "$work/modules"
    rm -rf "$work"/{files,initrd,load,*.deb}
    echo "$version" >"$work/version"
    mv "$work" "$folder"
}

boot_qemu() {
    local folder letter share=0 from to mode arguments=()
    folder=$(kernel_folder)
    [ -f "$state/root.qcow2" ] || qemu-img create -q -f qcow2 -F raw -b "$image" "$state/root.qcow2" || return
    grep -q ' /lib/modules/' "$state/shares" || echo "$folder/modules /lib/modules/$(cat "$folder/version") ro" >>"$state/shares"
    for letter in "${letters[@]}"; do
        arguments+=(-drive "if=virtio,format=raw,discard=unmap,file=$state/disk-$letter.img")
    done
    arguments+=(-virtfs "local,path=$here,mount_tag=host,security_model=none,readonly=on,multidevs=remap")
    arguments+=(-virtfs "local,path=$state,mount_tag=run,security_model=none,multidevs=remap")
    # The tags that guest/init counts.
    while read -r from to mode; do
        arguments+=(-virtfs "local,path=$from,mount_tag=share$((share++)),security_model=none,multidevs=remap$([ "$mode" = rw ] || echo ,readonly=on)")
    done <"$state/shares"
    # Its own standard input is the pipe of orders.
    exec setsid qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot -machine q35 -accel tcg -cpu max,la57=off \
        -m "$memory" -smp "${LAB_CPUS:-2}" -kernel "$folder/vmlinuz" -initrd "$folder/initrd.gz" \
        -drive "if=virtio,format=qcow2,discard=unmap,backing.file.locking=off,file=$state/root.qcow2" "${arguments[@]}" \
        -chardev "file,id=console,path=$state/console,append=on" -serial chardev:console \
        -chardev stdio,id=orders,signal=off -serial chardev:orders \
        -chardev "pipe,id=terminal,path=$state/tty" -serial chardev:terminal \
        -append "console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable clocksource=tsc $(lab_words host run 9p /dev/vd ttyS1 ttyS2)" <&8
}
