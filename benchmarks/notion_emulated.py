"""How fast the Notion emulator is: seeds, requests over TCP, and a walk through 25,000 rows.

Run it with ``.venv/bin/python benchmarks/notion_emulated.py``.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx

from notion_emulator.app import create_app, virtual_app
from notion_emulator.server import Emulator
from notion_emulator.settings import Settings

ROWS = 25_000
REQUESTS = 2_000
BY_TIME = {"sorts": [{"timestamp": "created_time", "direction": "ascending"}]}
BY_NUMBER = {"filter": {"property": "Number", "number": {"greater_than": -1}}, "sorts": [{"property": "Number", "direction": "descending"}]}  # fmt: skip


async def main() -> None:
    began = time.perf_counter()
    virtual_app("pages:10000")
    print(f"a seed of 10,000 pages          {time.perf_counter() - began:8.2f} s")
    settings = Settings(rate_mode="off", query_cap=ROWS)
    app = create_app(seed_name=f"pages:{ROWS}", settings=settings)
    source = next(n.id for n in app.store.nodes.values() if n.kind == "data_source")
    pages = [n.id for n in app.store.nodes.values() if n.kind == "page"][:REQUESTS]
    with Emulator(app) as emulator:
        headers = {"Authorization": f"Bearer {emulator.token}", "Notion-Version": "2026-03-11"}
        async with httpx.AsyncClient(base_url=emulator.base_url, headers=headers, timeout=60) as http:  # fmt: skip
            for name, path in (("page", ""), ("markdown", "/markdown")):
                began = time.perf_counter()
                async with asyncio.TaskGroup() as group:
                    for part in range(8):
                        group.create_task(_get(http, [f"/v1/pages/{p}{path}" for p in pages[part::8]]))  # fmt: skip
                print(f"GET {name:8} over TCP           {REQUESTS / (time.perf_counter() - began):8.0f} requests/s")  # fmt: skip
            for name, body in (("as they are", {}), ("sorted by time", BY_TIME), ("filtered, sorted by number", BY_NUMBER)):  # fmt: skip
                began = time.perf_counter()
                found = await _walk(http, f"/v1/data_sources/{source}/query", body)
                print(f"{found:,} rows {name:26}{time.perf_counter() - began:6.1f} s")


async def _get(http: httpx.AsyncClient, paths: list[str]) -> None:
    for path in paths:
        (await http.get(path)).raise_for_status()


async def _walk(http: httpx.AsyncClient, path: str, body: dict[str, Any]) -> int:
    found, cursor = 0, None
    while True:
        more = {"start_cursor": cursor} if cursor else {}
        answer = (await http.post(path, json=body | more)).json()
        found, cursor = found + len(answer["results"]), answer["next_cursor"]
        if cursor is None:
            return found


if __name__ == "__main__":
    asyncio.run(main())
