"""Blocks to markdown in notion-to-md-py, measured in a process of its own.

    python notion_content_peers.py < blocks.json

prints the milliseconds of CPU it takes for a page, and how many of its texts are in what it writes,
as one JSON object. It asks for children by a client; this one has them at hand.
"""

import json
import sys
import time
from typing import Any

from notion_to_md import NotionToMarkdown

ROUNDS = 20


class Client:
    """What notion-to-md-py asks of a Notion client, answered at once."""

    def __init__(self, blocks: list[dict[str, Any]]) -> None:
        self.inside: dict[str, list[dict[str, Any]]] = {}
        self.blocks = self.children = self
        waiting = list(blocks)
        while waiting:
            block = waiting.pop()
            self.inside[block["id"]] = children = block.pop("children", [])
            waiting += children

    def list(self, block_id: str, **_: Any) -> dict[str, Any]:
        return {"results": self.inside[block_id], "has_more": False, "next_cursor": None}


def main() -> None:
    blocks, texts = json.load(sys.stdin)
    reader = NotionToMarkdown(notion_client=Client(blocks))

    def read() -> str:
        made = reader.to_markdown_string(reader.block_list_to_markdown(blocks))
        return str(made.get("parent", ""))

    written = read()
    began = time.process_time()
    for _ in range(ROUNDS):
        read()
    spent = (time.process_time() - began) / ROUNDS * 1e3
    found = sum(text in written for text in texts)
    print(json.dumps({"milliseconds": spent, "found": found}))


if __name__ == "__main__":
    main()
