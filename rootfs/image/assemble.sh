#!/bin/sh
# Makes the root image: Debian, guestd's package, this image's own files, perhaps an agent. It runs
# as root, or as the root of a user namespace that can write nowhere but to temporary files: the
# results go to stdout as a tar archive.
#
# assemble.sh DESK   DESK has base.tar, guestd.deb, files/, masked-units.txt, perhaps agent/
set -eu
desk=$1
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
umask 022
out=$(mktemp -d)
trap 'umount "$root/proc" 2>/dev/null || true; rm -rf "$out"' EXIT
root="$out/root"

main() {
  mkdir -p "$root" "$out/image"
  tar -C "$root" --xattrs --xattrs-include='*' --numeric-owner -xpf "$desk/base.tar"
  install_guestd
  copy_files
  [ ! -d "$desk/agent" ] || install_agent
  quieten_systemd
  clean
  describe
  pack
  tar -C "$out/image" -cf - .
}

# A normal dpkg install: the package's scripts make the user and enable the units.
install_guestd() {
  mount -t proc proc "$root/proc"
  cp "$desk/guestd.deb" "$root/guestd.deb"
  DEBIAN_FRONTEND=noninteractive chroot "$root" dpkg --install /guestd.deb >&2
  rm "$root/guestd.deb"
  umount "$root/proc"
}

# Ignores the checkout's owners and umask. Existing folders, such as /root, keep their mode.
copy_files() {
  tar -C "$desk/files" --owner=0 --group=0 --mode=u=rwX,go=rX -cf - . |
    tar -C "$root" --no-overwrite-dir -xpf -
  home="$root/home/agent"
  cp -R "$root/usr/share/guestd-image/agent-home/." "$home/"
  chroot "$root" chown -R agent:agent /home/agent
  # mmdebstrap copies it, with its mode, from the machine that builds.
  rm -f "$root/etc/hostname"
  echo guest >"$root/etc/hostname"
  printf '127.0.0.1 localhost guest\n::1 localhost\n' >"$root/etc/hosts"
  echo 'LANG=C.UTF-8' >"$root/etc/default/locale"
  : >"$root/etc/fstab"
  # A network card keeps the kernel's name, eth0: systemd.link(5).
  ln -s /dev/null "$root/etc/systemd/network/99-default.link"
}

# /opt/agent with its start command: its own unit, or one that runs its file `start`.
install_agent() {
  mkdir -p "$root/opt/agent"
  tar -C "$desk/agent" --owner=0 --group=0 --mode=u=rwX,go=rX -cf - . |
    tar -C "$root/opt/agent" -xpf -
  units="$root/etc/systemd/system"
  if [ -e "$root/opt/agent/agent.service" ]; then
    mv "$root/opt/agent/agent.service" "$units/agent.service"
  else
    cp "$root/usr/share/guestd-image/agent.service" "$units/agent.service"
  fi
  chroot "$root" systemctl --quiet enable agent.service
  # Without an [Install] section that enables nothing, and says nothing.
  ls "$units"/*.wants/agent.service >/dev/null 2>&1 ||
    { echo "agent.service has no [Install] section: nothing would start it" >&2; exit 1; }
}

# Disables units that a guest without logins or timers does not need; they cost boot time and memory.
quieten_systemd() {
  units="$root/etc/systemd/system"
  while read -r unit; do
    # An enabled unit has a link in a .wants folder; a link to a masked unit is an error.
    rm -f "$units"/*.wants/"$unit"
    ln -sf /dev/null "$units/$unit"
  done <"$desk/masked-units.txt"
  mkdir -p "$root/etc/systemd/system-generators"
  for generator in "$root"/usr/lib/systemd/system-generators/*; do
    ln -sf /dev/null "$root/etc/systemd/system-generators/$(basename "$generator")"
  done
  # udevd still starts by its socket, at the first device that appears after the boot.
  # The message bus starts with its first client; a machine without a network has none.
  rm -f "$root"/usr/lib/systemd/system/multi-user.target.wants/dbus.service
  rm -f "$root"/usr/lib/systemd/system/sysinit.target.wants/systemd-udevd.service \
    "$root"/usr/lib/systemd/system/sysinit.target.wants/systemd-udev-trigger.service
  ln -sf /usr/lib/systemd/system/multi-user.target "$units/default.target"
  # They do nothing on a machine without a network card.
  chroot "$root" systemctl --quiet enable systemd-networkd.service systemd-network-generator.service
}

# An empty machine-id gives each boot a new id without the presets of a first boot (machine-id(5)). The other removed
# files differ between builds or are not needed.
clean() {
  mkdir -p "$out/image/boot"
  cp "$root/boot/vmlinuz" "$root/boot/busybox" "$out/image/boot/"
  cp -a "$root"/usr/lib/modules "$out/image/modules"
  rm -rf "$root"/boot/* "$root"/var/lib/apt/lists/* "$root"/var/cache/* "$root"/var/log/* \
    "$root"/tmp/* "$root"/run/* "$root"/dev/* "$root"/usr/share/guestd-image
  rm -f "$root"/etc/*- "$root"/var/lib/dpkg/*-old "$root"/var/lib/systemd/random-seed
  mkdir -p "$root/var/cache/apt/archives/partial" "$root/var/log/apt" "$root/var/log/journal"
  rmdir "$root/var/log/journal"
  : >"$root/etc/machine-id"
}

describe() {
  chroot "$root" dpkg-query --show \
    --showformat='${Package}\t${Version}\t${Architecture}\t${Installed-Size}\n' >"$out/image/packages.tsv"
}

# SOURCE_DATE_EPOCH is the file system's time, and the latest that any file of it has.
pack() {
  find "$root" -newermt "@$SOURCE_DATE_EPOCH" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
  mksquashfs "$root" "$out/image/root.squashfs" -noappend -quiet -no-progress -xattrs \
    -comp zstd -Xcompression-level 9 -b 128K >&2
}

main
