#!/usr/bin/env bash
# Make a virtual environment, also where Debian left the venv module out.
set -euo pipefail
python=$1
venv=$2
if "$python" -m venv "$venv" 2>/dev/null; then
    exit 0
fi
rm -rf "$venv"
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
    exec "$python" -m venv "$venv"
fi
"$python" -m pip install --quiet --user --break-system-packages virtualenv
exec "$python" -m virtualenv --quiet "$venv"
