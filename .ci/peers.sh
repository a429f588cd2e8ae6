#!/usr/bin/env bash
# Install the real peers that the tests drive; without root, say which are missing.
set -euo pipefail
# Debian package, and a file it brings (a pattern).
wanted=(
    "dcmtk /usr/bin/storescu"
    "dicom3tools /usr/bin/dciodvfy"
    "orthanc /usr/sbin/Orthanc"
    "orthanc-dicomweb /usr/share/orthanc/plugins/libOrthancDicomWeb.so"
    "strace /usr/bin/strace"
    "chromium /usr/bin/chromium"
    "libatomic1 /usr/lib/*/libatomic.so.1" # the browser driver of the page's tests links it
    "postgresql /usr/lib/postgresql/*/bin/initdb"
    "iproute2 /usr/sbin/ip" # hosts of their own in the proving ground
)
missing=()
for entry in "${wanted[@]}"; do
    read -r package file <<<"$entry"
    compgen -G "$file" >/dev/null || missing+=("$package")
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
