"""The sample businesses of the demo: their documents, and questions with known answers."""

import json
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent

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
