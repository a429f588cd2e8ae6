#!/usr/bin/env bash
# Make a virtual environment, also where Debian left the venv module out.
set -euo pipefail
python=$1
venv=$2
if "$python" -m venv "$venv" >/dev/null 2>&1; then
    exit 0
fi
rm -rf "$venv"
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing python3-venv"
    .ci/apt.sh python3-venv
    exec "$python" -m venv "$venv"
fi
"$python" -m pip install --quiet --user --break-system-packages virtualenv
exec "$python" -m virtualenv --quiet "$venv"
