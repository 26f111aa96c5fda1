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

# docs/images/flows.png: the page of a run of all flows.
HIGHERSELF_HOME="$work/home" .venv/bin/higherself flows run --html "$work/flows.html"
"$chromium" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
    --disable-background-networking --disable-component-update --disable-sync \
    --user-data-dir="$work/profile" --window-size=1100,1900 --hide-scrollbars \
    --screenshot="$work/flows.png" "file://$work/flows.html"
mv "$work/flows.png" docs/images/flows.png

# docs/images/notion-emulator.png: a page of the emulator's viewer (with a font of colour emoji).
.venv/bin/notion-emulator serve --port 8178 --clock virtual --seed docs/images/notion-emulator.json &
emulator=$!
trap 'kill "$emulator"; rm -rf "$work"' EXIT
until curl -sf localhost:8178/__emu/ui -o "$work/home.html"; do read -rt 0.2 <> <(:) || :; done
place=$(curl -s localhost:8178/v1/search -d '{"query": "Lead nurturing"}' \
    -H 'Authorization: Bearer ntn_emulator' -H 'Notion-Version: 2026-03-11' |
    .venv/bin/python -c 'import json, sys; print(json.load(sys.stdin)["results"][0]["id"])')
"$chromium" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
    --disable-background-networking --disable-component-update --disable-sync --timeout=3000 \
    --user-data-dir="$work/profile" --window-size=1360,1900 --hide-scrollbars \
    --screenshot="$work/emulator.png" "http://localhost:8178/__emu/ui/$place"
mv "$work/emulator.png" docs/images/notion-emulator.png
