#!/usr/bin/env bash
# Install the real peers that the tests drive; without root, say which are missing.
set -euo pipefail
declare -A packages=(
    [storescu]=dcmtk [dciodvfy]=dicom3tools [Orthanc]=orthanc [strace]=strace [chromium]=chromium
    [initdb]=postgresql
)
missing=()
for tool in "${!packages[@]}"; do
    command -v "$tool" >/dev/null || [ -x "/usr/sbin/$tool" ] || missing+=("${packages[$tool]}")
done
if [ ${#missing[@]} -eq 0 ]; then
    exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing ${missing[*]}"
    "$(dirname "$0")/apt.sh" "${missing[@]}"
else
    echo "missing: ${missing[*]} (tests that need them are skipped)" >&2
fi
