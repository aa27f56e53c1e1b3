#!/bin/sh
# mmdebstrap's customize hook: makes the minimal Debian in ROOT the guest's, and sends its disk
# image, kernel and initramfs as a tar stream into FIFO. It runs as root, or as the root of
# mmdebstrap's user namespace, which can write nowhere else: hence the stream.
#
# customize.sh ROOT INPUTS FIFO DISK_SIZE
set -eu
root=$1 inputs=$2 fifo=$3 disk_size=$4
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
kernel_package=linux-image-cloud-amd64

main() {
  mkdir "$out/image" "$out/packages" "$out/bind"
  unpack_packages
  install_kernel
  make_users_and_folders
  quieten_systemd
  remove_leftovers
  make_initramfs
  make_disk
  tar -C "$out/image" --sparse -cf "$fifo" .
}

# The kernel and busybox are unpacked, not installed: their hooks have no place in a guest image.
unpack_packages() {
  (
    cd "$out/packages"
    export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
    image=$(apt-cache depends "$kernel_package" |
      sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p' | head -n 1)
    [ -n "$image" ] || { echo "$kernel_package names no kernel image" >&2; exit 1; }
    apt-get --quiet=2 -o APT::Sandbox::User=root download "$image" busybox-static
    for deb in *.deb; do dpkg-deb -x "$deb" "$out/packages/tree"; done
  )
}

install_kernel() {
  version=$(basename "$out"/packages/tree/lib/modules/*)
  mkdir -p "$root/lib/modules"
  cp -a "$out/packages/tree/lib/modules/$version" "$root/lib/modules/"
  chroot "$root" depmod "$version"
  cp "$out/packages/tree/boot/vmlinuz-$version" "$out/image/vmlinuz"
}

make_users_and_folders() {
  chroot "$root" useradd --uid 1000 --create-home --shell /bin/bash agent
  mkdir -p "$root/mnt/workspace" "$root/opt/guestd" "$root/etc/guestd"
  chroot "$root" chown agent:agent /mnt/workspace
  ln -s /opt/guestd/node "$root/usr/local/bin/node"
  echo guest >"$root/etc/hostname"
  printf '127.0.0.1 localhost guest\n::1 localhost\n' >"$root/etc/hosts"
  echo 'LANG=C.UTF-8' >"$root/etc/default/locale"
  : >"$root/etc/fstab"
}

# What a guest without login, network or timers has no use for costs seconds of its boot.
quieten_systemd() {
  units="$root/etc/systemd/system"
  while read -r unit; do ln -sf /dev/null "$units/$unit"; done <"$inputs/masked-units.txt"
  mkdir -p "$root/etc/systemd/system-generators"
  for generator in "$root"/lib/systemd/system-generators/*; do
    ln -sf /dev/null "$root/etc/systemd/system-generators/$(basename "$generator")"
  done
  # udevd still starts by its socket, at the first device that appears after the boot.
  rm -f "$root/lib/systemd/system/sysinit.target.wants/systemd-udevd.service" \
    "$root/lib/systemd/system/sysinit.target.wants/systemd-udev-trigger.service"
  ln -sf /lib/systemd/system/multi-user.target "$units/default.target"
  mkdir -p "$units/multi-user.target.wants"
  ln -s ../guestd.service "$units/multi-user.target.wants/guestd.service"
  # Empty, not absent: each boot has its own id, and none is a "first boot" with its presets.
  : >"$root/etc/machine-id"
}

remove_leftovers() {
  rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*
  : >"$root/etc/resolv.conf"
}

make_initramfs() {
  tree="$out/initramfs"
  mkdir -p "$tree/bin" "$tree/modules" "$tree/dev" "$tree/proc" "$tree/sys" "$tree/newroot"
  cp "$out/packages/tree/bin/busybox" "$tree/bin/busybox"
  ln -s busybox "$tree/bin/sh"
  cp "$inputs/init" "$tree/init"
  chmod 755 "$tree/init"
  order=100
  while read -r module; do
    chroot "$root" modprobe --set-version "$version" --show-depends "$module" </dev/null
  done <"$inputs/modules.txt" | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' >"$out/modules"
  while read -r file; do
    cp "$root$file" "$tree/modules/$order-$(basename "$file")"
    order=$((order + 1))
  done <"$out/modules"
  (cd "$tree" && find . | "$out/packages/tree/bin/busybox" cpio -o -H newc) 2>/dev/null |
    gzip -1 >"$out/image/initramfs.gz"
}

# A bind mount shows the tree without the /proc, /sys and /dev that mmdebstrap mounts for hooks.
# No journal: the disk is thrown away with its machine, and never recovered.
make_disk() {
  mount --bind "$root" "$out/bind"
  mv "$MMDEBSTRAP_APT_CONFIG" "$out/apt.conf"
  status=0
  mke2fs -q -t ext4 -O ^has_journal -L guestd-root -E assume_storage_prezeroed=1 \
    -d "$out/bind" "$out/image/root.ext4" "$disk_size" || status=$?
  mv "$out/apt.conf" "$MMDEBSTRAP_APT_CONFIG"
  umount "$out/bind"
  return "$status"
}

main
