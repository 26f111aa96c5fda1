from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from higherself.notion.databases.declaration import Property
from higherself.notion.databases.fields import DoesNotFit, from_notion, from_row, to_notion

DAY = Property("Due", "date", "due", time=False)
INSTANT = Property("At", "date", "at")
TEXT = Property("Notes", "rich_text", "notes")


@given(st.text(max_size=6000))
def test_texts_go_there_and_back_in_pieces_that_notion_takes(text: str) -> None:
    text = text.replace("\0", "")
    sent = to_notion(TEXT, "rich_text", text)["rich_text"]
    assert all(len(p["text"]["content"].encode("utf-16-le", "surrogatepass")) <= 4000 for p in sent)
    shown = {"type": "rich_text", "rich_text": [{"plain_text": p["text"]["content"]} for p in sent]}
    assert from_notion(TEXT, shown) == (text or None)


@pytest.mark.parametrize(
    ("prop", "start", "expected"),
    [
        (INSTANT, "2026-11-23T10:00:00.000+02:00", "2026-11-23T08:00Z"),
        (INSTANT, "2026-11-23", "2026-11-23T00:00Z"),
        (DAY, "2026-11-23", "2026-11-23"),
        (DAY, "2026-11-23T23:00:00.000+02:00", "2026-11-23"),
    ],
)
def test_dates_have_one_form(prop: Property, start: str, expected: str) -> None:
    assert from_notion(prop, {"type": "date", "date": {"start": start}}) == expected


def test_a_row_and_a_page_say_the_same_in_the_same_form() -> None:
    at = datetime(2026, 11, 23, 12, 0, 59, tzinfo=timezone(timedelta(hours=2)))
    assert from_row(INSTANT, at) == "2026-11-23T10:00Z"
    assert from_row(DAY, date(2026, 11, 23)) == "2026-11-23"
    assert to_notion(INSTANT, "date", "2026-11-23T10:00Z") == {"date": {"start": "2026-11-23T10:00:00.000Z"}}  # fmt: skip
    assert from_row(TEXT, "") is None
    assert at.astimezone(UTC).minute == 0


def test_a_file_is_the_same_however_its_address_is_signed() -> None:
    files = Property("Images", "files", "images")

    def shown(signature: str) -> dict[str, Any]:
        url = f"https://files.example.org/a.png?X-Amz-Signature={signature}"
        return {"type": "files", "files": [{"name": "a.png", "type": "file", "file": {"url": url}}]}

    assert from_notion(files, shown("1")) == from_notion(files, shown("2"))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("rich_text", "x" * 200_001),
        ("email", "x" * 201),
        ("multi_select", [str(n) for n in range(101)]),
        ("relation", [str(n) for n in range(101)]),
    ],
)
def test_what_notion_does_not_take_is_refused_by_name(kind: str, value: Any) -> None:
    with pytest.raises(DoesNotFit, match="Wide"):
        to_notion(Property("Wide", kind, "wide"), kind, value)
