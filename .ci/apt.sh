#!/usr/bin/env bash
# Install Debian packages quietly; what apt said is shown only when it fails.
set -euo pipefail
said=$(mktemp)
trap 'rm -f "$said"' EXIT
export DEBIAN_FRONTEND=noninteractive
if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends "$@"; } >"$said" 2>&1; then
    cat "$said" >&2
    exit 1
fi
