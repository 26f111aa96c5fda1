#!/usr/bin/env bash
# Make docs/images/demo.png again: run the demo, and photograph the page it writes.
# Needs `make setup` and a Chromium; CHROMIUM names it if it is called something else.
set -euo pipefail
cd "$(dirname "$0")/../.."

chromium=${CHROMIUM:-$(command -v chromium || command -v chromium-browser || command -v google-chrome)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

page=$(HIGHERSELF_HOME="$work/home" .venv/bin/higherself demo --json |
    .venv/bin/python -c 'import json, sys; print(json.load(sys.stdin)["report"])')
"$chromium" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
    --disable-background-networking --disable-component-update --disable-sync \
    --user-data-dir="$work/profile" --window-size=1280,1500 --hide-scrollbars \
    --screenshot="$work/demo.png" "file://$page"
mv "$work/demo.png" docs/images/demo.png
ls -l docs/images/demo.png
