#!/bin/sh
# mmdebstrap's customize hook: puts Debian's kernel, its modules and a static busybox into ROOT.
# They are unpacked, not installed: their maintainer scripts have no place in a guest image.
# /boot is taken out again when the image is made.
#
# kernel.sh ROOT
set -eu
root=$1
kernel_package=linux-image-cloud-amd64
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
image=$(apt-cache depends "$kernel_package" |
  sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p' | head -n 1)
[ -n "$image" ] || { echo "$kernel_package names no kernel image" >&2; exit 1; }
apt-get --quiet=2 -o APT::Sandbox::User=root download "$image" busybox-static
for deb in *.deb; do dpkg-deb -x "$deb" tree; done
version=$(basename tree/lib/modules/*)
mkdir -p "$root/usr/lib/modules"
cp -a "tree/lib/modules/$version" "$root/usr/lib/modules/"
chroot "$root" depmod "$version"
cp "tree/boot/vmlinuz-$version" "$root/boot/vmlinuz"
cp tree/bin/busybox "$root/boot/busybox"
