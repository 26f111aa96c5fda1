"""Talk to a Notion workspace that runs on this machine.

Run it with ``.venv/bin/python examples/notion_from_python.py``.
"""
# ruff: noqa: T201, S310  an example prints, and opens what it has just started

import json
from urllib.request import Request, urlopen

from notion_emulator.app import create_app
from notion_emulator.server import Emulator


def main() -> None:
    """Start it, and print the titles of its pages."""
    with Emulator(create_app(seed_name="demo")) as notion:
        headers = {
            "Authorization": f"Bearer {notion.token}",
            "Notion-Version": "2026-03-11",
            "Content-Type": "application/json",
        }
        asked = Request(f"{notion.base_url}/v1/search", b'{"page_size": 3}', headers)
        with urlopen(asked) as answer:
            found = json.load(answer)
    for each in found["results"]:
        print(each["object"])


if __name__ == "__main__":
    main()
