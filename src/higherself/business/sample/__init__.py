"""The sample businesses of the demo: their documents, questions with known answers, and Notion.

``NOTION`` is what their workspace holds when it starts, in the form of the emulator's seeds.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
NOTION = FOLDER / "notion.json"

ENTITIES = ("the_7_space", "the_connection_practice", "am_consulting")


@dataclass(frozen=True, slots=True)
class Question:
    """A question and the document (its path below the business's folder) that answers it."""

    question: str
    entity: str
    source: str
    answer: str


def questions() -> list[Question]:
    """Return the questions, business by business."""
    found = []
    for path in sorted((FOLDER / "questions").glob("*.json")):
        found += [Question(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))]
    return sorted(found, key=lambda question: ENTITIES.index(question.entity))


@dataclass(frozen=True, slots=True)
class Record:
    """A row of one of the databases in Notion, and the key that it is saved under."""

    database: str
    entity: str
    key: str
    values: dict[str, Any]


def records() -> list[Record]:
    """Return contacts, products and tasks of the businesses."""
    return [Record(**each) for each in json.loads((FOLDER / "records.json").read_text("utf-8"))]
