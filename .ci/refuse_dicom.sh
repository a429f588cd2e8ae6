#!/usr/bin/env bash
# Refuse medical images among the named files, or among all tracked ones: phantoms are built by code.
set -euo pipefail
if [ $# -eq 0 ]; then
    mapfile -d '' -t files < <(git ls-files -z)
else
    files=("$@")
fi
found=0
for file in "${files[@]}"; do
    [ -f "$file" ] || continue
    case "$file" in
        *.dcm | *.nii | *.nii.gz | *.mha | *.mhd | *.nrrd) reason="is named like a medical image" ;;
        *)
            [ "$(dd if="$file" bs=1 skip=128 count=4 2>/dev/null | tr -d '\0')" = DICM ] || continue
            reason="is a DICOM file"
            ;;
    esac
    echo "$file $reason; build it by code in tests/phantoms instead" >&2
    found=1
done
exit $found
