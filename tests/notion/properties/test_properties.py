"""Values of properties: every type read, what is written read back, what does not fit refused."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.notion.content.recorded import needs_recordings, objects

from higherself.notion.content.rich import rich
from higherself.notion.content.tree import Text
from higherself.notion.properties import (
    KINDS,
    WRITABLE,
    PropertyRejected,
    Value,
    plain,
    read,
    same,
    write,
)
from higherself.notion.properties.values import (
    ByValue,
    CheckboxValue,
    Choice,
    ChoicesValue,
    ChoiceValue,
    DateValue,
    File,
    FilesValue,
    LineValue,
    NumberedValue,
    NumberValue,
    OtherValue,
    PeopleValue,
    Person,
    PlaceValue,
    RelationValue,
    ResultValue,
    TextValue,
    TimeValue,
    VerificationValue,
)
from notion_emulator.app import create_app
from notion_emulator.server import Emulator
from notion_emulator.settings import Settings

Json = dict[str, Any]
ID = "01234567-89ab-4def-8123-456789abcdef"
USER = {"object": "user", "id": ID, "name": "Ana", "type": "person", "person": {"email": "ana@example.com"}}  # fmt: skip
SIGNED = "https://prod-files-secure.s3.us-west-2.amazonaws.com/a/b.pdf"


def text(words: str) -> list[Json]:
    return [{"type": "text", "text": {"content": words, "link": None}, "annotations": {}, "plain_text": words, "href": None}]  # fmt: skip


# Every type: what Notion answers, the value, and what a skill gets of it.
EVERY: list[tuple[str, Any, Json, Value, Any]] = [
    ("title", text("Tea "), {}, TextValue("title", (Text("Tea"),)), "Tea"),
    ("rich_text", [], {}, TextValue("rich_text"), ""),
    ("number", 2.5, {}, NumberValue(2.5), 2.5),
    ("select", {"id": "1", "name": "A", "color": "red"}, {}, ChoiceValue("select", Choice("A")), "A"),
    ("status", None, {}, ChoiceValue("status"), None),
    ("multi_select", [{"id": "1", "name": "A"}, {"id": "2", "name": "B"}], {}, ChoicesValue((Choice("A"), Choice("B"))), ["A", "B"]),
    ("date", {"start": "2026-06-27T18:01:00.000+01:00", "end": None, "time_zone": None}, {}, DateValue("2026-06-27T18:01+01:00"), "2026-06-27T18:01+01:00"),
    ("date", {"start": "2026-06-27", "end": "2026-06-29", "time_zone": None}, {}, DateValue("2026-06-27", "2026-06-29"), {"start": "2026-06-27", "end": "2026-06-29"}),
    ("people", [USER], {"has_more": True}, PeopleValue((Person(ID),), True), {"known": ["Ana"], "has_more": True}),
    ("files", [{"name": "b.pdf", "type": "file", "file": {"url": SIGNED + "?X-Amz-Signature=1", "expiry_time": "x"}}], {}, FilesValue((File("b.pdf", SIGNED),)), [{"name": "b.pdf", "url": SIGNED}]),
    ("checkbox", True, {}, CheckboxValue(True), True),
    ("url", "https://example.com", {}, LineValue("url", "https://example.com"), "https://example.com"),
    ("email", None, {}, LineValue("email"), None),
    ("phone_number", "123", {}, LineValue("phone_number", "123"), "123"),
    ("relation", [{"id": ID}], {"has_more": True}, RelationValue((ID,), True), {"known": [ID], "has_more": True}),
    ("relation", [{"id": ID.replace("-", "")}], {"has_more": False}, RelationValue((ID,)), [ID]),
    ("formula", {"type": "string", "string": "x"}, {}, ResultValue("formula", "x"), "x"),
    ("formula", {"type": "boolean", "boolean": False}, {}, ResultValue("formula", False), False),
    ("formula", {"type": "date", "date": {"start": "2026-01-02"}}, {}, ResultValue("formula", "2026-01-02"), "2026-01-02"),
    ("formula", {"type": "unsupported", "unsupported": {}}, {}, ResultValue("formula", None, False), None),
    ("rollup", {"type": "number", "number": 3, "function": "count"}, {}, ResultValue("rollup", 3, True, "count"), 3),
    ("rollup", {"type": "array", "array": [{"type": "title", "title": text("T")}, {"type": "number", "number": 1}], "function": "show_original"}, {}, ResultValue("rollup", ["T", 1], True, "show_original"), ["T", 1]),
    ("rollup", {"type": "incomplete", "incomplete": {}, "function": "sum"}, {}, ResultValue("rollup", None, False, "sum"), None),
    ("created_time", "2026-06-26T13:45:00.000Z", {}, TimeValue("created_time", "2026-06-26T13:45+00:00"), "2026-06-26T13:45+00:00"),
    ("last_edited_time", "2026-06-26T13:45:00.000Z", {}, TimeValue("last_edited_time", "2026-06-26T13:45+00:00"), "2026-06-26T13:45+00:00"),
    ("last_visited_time", None, {}, TimeValue("last_visited_time"), None),
    ("created_by", USER, {}, ByValue("created_by", Person(ID)), "Ana"),
    ("last_edited_by", {"object": "user", "id": ID}, {}, ByValue("last_edited_by", Person(ID)), ID),
    ("unique_id", {"prefix": "T", "number": 7}, {}, NumberedValue("T", 7), "T-7"),
    ("unique_id", {"prefix": None, "number": 7}, {}, NumberedValue("", 7), 7),
    ("place", {"lat": 1.5, "lon": 2.5, "name": "Studio"}, {}, PlaceValue(1.5, 2.5, "Studio"), {"lat": 1.5, "lon": 2.5, "name": "Studio"}),
    ("verification", {"state": "verified", "verified_by": USER, "date": {"start": "2026-01-01", "end": "2026-02-01"}}, {}, VerificationValue("verified", Person(ID), "2026-02-01"), "verified"),
    ("button", {}, {}, OtherValue("button"), None),
    ("location", None, {}, OtherValue("location"), None),
]  # fmt: skip


def test_every_type_has_a_row_here() -> None:
    assert {kind for kind, *_ in EVERY} == set(KINDS)
    assert len(KINDS) == 26


@pytest.mark.parametrize(("kind", "content", "more", "value", "shown"), EVERY)
def test_every_type_is_read(kind: str, content: Any, more: Json, value: Value, shown: Any) -> None:
    found = read({"properties": {"P": {"id": "x", "type": kind, kind: content, **more}}})
    assert found == {"P": value}
    assert plain(found["P"]) == shown


def test_a_type_of_tomorrow_is_kept_as_it_is() -> None:
    found = read({"properties": {"P": {"id": "x", "type": "aura", "aura": {"hue": 3}}}})
    assert found["P"] == OtherValue("aura", {"hue": 3})


@needs_recordings
def test_every_recorded_property_is_read_as_what_it_is() -> None:
    kinds = set()
    for page in objects("page"):
        for name, value in read(page).items():
            given = page["properties"][name]
            kinds.add(given["type"])
            assert isinstance(value, OtherValue) == (given["type"] == "button")
            if given["type"] in ("title", "rich_text"):
                shown = "".join(item["plain_text"] for item in given[given["type"]])
                assert plain(value) == shown.strip(" \t")
    assert len(kinds) >= 23


# --- Writing.

OPTIONS = ["New", "In progress", "Done"]
SCHEMA: dict[str, Json] = {
    "Name": {"type": "title", "title": {}},
    "Notes": {"type": "rich_text", "rich_text": {}},
    "Score": {"type": "number", "number": {}},
    "Stage": {"type": "select", "select": {"options": [{"name": name} for name in OPTIONS]}},
    "Status": {"type": "status", "status": {"options": [{"name": name} for name in OPTIONS]}},
    "Tags": {"type": "multi_select", "multi_select": {"options": [{"name": n} for n in OPTIONS]}},
    "When": {"type": "date", "date": {}},
    "Who": {"type": "people", "people": {}},
    "Files": {"type": "files", "files": {}},
    "Ready": {"type": "checkbox", "checkbox": {}},
    "Site": {"type": "url", "url": {}},
    "Mail": {"type": "email", "email": {}},
    "Phone": {"type": "phone_number", "phone_number": {}},
    "Pages": {"type": "relation", "relation": {"data_source_id": ID}},
    "Where": {"type": "place", "place": {}},
    "Sum": {"type": "formula", "formula": {"expression": "1"}},
    "Made": {"type": "created_time", "created_time": {}},
}
IDS = st.uuids(version=4).map(str)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=40)
RICH = st.lists(st.builds(Text, TEXTS), max_size=3).map(rich)
DAYS = st.dates(date(1990, 1, 1), date(2090, 1, 1)).map(str)
MINUTES = st.datetimes(
    datetime(1990, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    datetime(2090, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
).map(lambda at: at.replace(second=0, microsecond=0).isoformat(timespec="minutes"))
DATES = st.one_of(
    st.just(DateValue()),
    st.builds(DateValue, DAYS | MINUTES),
    *(st.tuples(m, m).map(lambda pair: DateValue(*sorted(pair))) for m in (DAYS, MINUTES)),
)
CHOICES = st.sampled_from(OPTIONS).map(Choice)
VALUES = st.fixed_dictionaries(
    {},
    optional={
        "Name": st.builds(TextValue, st.just("title"), RICH),
        "Notes": st.builds(TextValue, st.just("rich_text"), RICH),
        "Score": st.builds(NumberValue, st.none() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)),
        "Stage": st.builds(ChoiceValue, st.just("select"), st.none() | CHOICES),
        "Status": st.builds(ChoiceValue, st.just("status"), CHOICES),
        "Tags": st.builds(ChoicesValue, st.lists(CHOICES, unique=True).map(tuple)),
        "When": DATES,
        "Files": st.builds(FilesValue, st.lists(st.builds(File, st.text("ab. é", min_size=1, max_size=20), st.just("https://example.com/f.pdf")), max_size=2).map(tuple)),
        "Ready": st.builds(CheckboxValue, st.booleans()),
        "Site": st.builds(LineValue, st.just("url"), st.just("") | st.text("abc/:", min_size=1)),
        "Mail": st.builds(LineValue, st.just("email"), st.just("") | st.just("a@example.com")),
        "Phone": st.builds(LineValue, st.just("phone_number"), st.text("0123+ ", max_size=20)),
        "Who": st.builds(PeopleValue, st.lists(IDS.map(Person), max_size=3).map(tuple)),
        "Pages": st.builds(RelationValue, st.lists(IDS, max_size=3).map(tuple)),
        "Where": st.builds(PlaceValue, st.floats(-90, 90), st.floats(-180, 180), st.sampled_from(["", "Studio"])),
    },
)  # fmt: skip


@given(VALUES)
def test_what_is_written_is_read_back(values: dict[str, Value]) -> None:
    written = write(values, SCHEMA)
    found = read({"properties": written})
    assert set(found) == set(values)
    for name, value in values.items():
        assert same(found[name], value), name
        assert same(found[name], read({"properties": write({name: plain(value)}, SCHEMA)})[name])


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    app = create_app(seed_name="empty", settings=Settings(rate_mode="off", index_lag_s=0.0))
    with Emulator(app) as emulator:
        headers = {"Authorization": f"Bearer {emulator.token}", "Notion-Version": "2026-03-11"}
        with httpx.Client(base_url=f"{emulator.base_url}/v1/", headers=headers) as client:
            yield client


def _answered(answer: httpx.Response) -> Json:
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


@given(VALUES)
@settings(max_examples=25, deadline=None)
def test_the_emulator_takes_what_is_written_and_answers_the_same(
    client: httpx.Client, values: dict[str, Value]
) -> None:
    source = _source(client)
    values = {name: value for name, value in values.items() if name not in ("Who", "Pages")}
    body = {"parent": {"type": "data_source_id", "data_source_id": source["id"]}, "properties": write(values, source["properties"])}  # fmt: skip
    found = read(_answered(client.post("pages", json=body)))
    for name, value in values.items():
        assert same(found[name], value), name


def _source(client: httpx.Client) -> Json:
    found = client.headers.get("x-source")
    if found is None:
        parent = {"type": "workspace", "workspace": True}
        given = {name: {p["type"]: p[p["type"]]} for name, p in SCHEMA.items() if p["type"] != "relation"}  # fmt: skip
        body = {"parent": parent, "initial_data_source": {"properties": given}}
        made = _answered(client.post("databases", json=body))
        client.headers["x-source"] = found = made["data_sources"][0]["id"]
    return _answered(client.get(f"data_sources/{found}"))


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"Stagee": "New"}, "property 'Stagee': there is none of this name; did you mean 'Stage'?"),
        ({"Stage": "Don"}, "property 'Stage': 'Don' is none of its options; did you mean 'Done'?"),
        ({"Status": "xyz"}, "'xyz' is none of its options; there is Done, In progress, New"),
        ({"Tags": "New"}, "'New' is no list of options"),
        ({"Tags": ["New"] * 101}, "it has 101 entries and a request takes 100"),
        ({"Score": "3"}, "'3' is no number"),
        ({"Score": True}, "True is no number"),
        ({"Score": float("nan")}, "nan is no number"),
        ({"Ready": "yes"}, "'yes' is no yes or no (true, false)"),
        ({"When": "tomorrow"}, "'tomorrow' is no date (2026-01-31, or 2026-01-31T10:00+01:00)"),
        ({"When": "2026-13-01"}, "'2026-13-01' is no day"),
        ({"When": datetime(2026, 1, 1)}, "has no time zone: add an offset"),  # noqa: DTZ001
        ({"When": {"start": "2026-01-02", "end": "2026-01-01"}}, "it ends (2026-01-01) before it begins"),
        ({"When": {"start": "2026-01-02", "end": "2026-01-03T10:00Z"}}, "from day to day or from time to time"),
        ({"When": {"start": "2026-01-02T10:00", "time_zone": "Mars/Base"}}, "'Mars/Base' is no time zone"),
        ({"Mail": "a" * 201}, "it has 201 characters and Notion takes 200"),
        ({"Site": "😀" * 1_001}, "it has 2,002 characters and Notion takes 2,000"),
        ({"Notes": "a" * 200_001}, "it has 200,001 characters and Notion takes 200,000"),
        ({"Pages": ["Tea"]}, "'Tea' is no id of a page"),
        ({"Who": "Ana"}, "'Ana' is no list of people"),
        ({"Files": [{"name": "x"}]}, "is no file: give its name, and its url or the id of its upload"),
        ({"Where": "Berlin"}, "'Berlin' is no place: give lat and lon"),
        ({"Sum": 1}, "it cannot be written: Notion computes it; leave it out"),
        ({"Made": "2026-01-01"}, "it cannot be written: Notion computes it"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_its_name_and_the_way_out(
    values: Json, reason: str
) -> None:
    with pytest.raises(PropertyRejected) as refused:
        write(values, SCHEMA)
    assert reason in str(refused.value)
    assert refused.value.property == next(iter(values))


def test_new_options_are_added_only_when_that_is_wanted() -> None:
    assert write({"Stage": "Odd"}, SCHEMA, new_options=True) == {"Stage": {"select": {"name": "Odd"}}}  # fmt: skip
    for refused in ({"Status": "Odd"}, {"Stage": "a,b"}, {"Stage": "x" * 101}):
        with pytest.raises(PropertyRejected):
            write(refused, SCHEMA, new_options=True)


def test_long_text_is_cut_at_2_000_units_and_stays_the_same() -> None:
    words = "😀" * 1_500
    written = write({"Notes": words}, SCHEMA)
    assert [len(item["text"]["content"]) for item in written["Notes"]["rich_text"]] == [1_000, 500]
    assert plain(read({"properties": written})["Notes"]) == words


def test_a_time_zone_becomes_an_offset_as_notion_answers_it() -> None:
    value = {"start": "2026-07-01T10:00:42", "time_zone": "Europe/Berlin"}
    assert write({"When": value}, SCHEMA) == {"When": {"date": {"start": "2026-07-01T10:00:00+02:00"}}}  # fmt: skip


def test_none_empties_every_property_that_can_be_written() -> None:
    names = [name for name, prop in SCHEMA.items() if prop["type"] in WRITABLE]
    found = read({"properties": write(dict.fromkeys(names), SCHEMA)})
    assert all(same(value, None) for value in found.values())


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (DateValue("2026-07-01T10:00+02:00"), DateValue("2026-07-01T08:00+00:00"), True),
        (DateValue("2026-07-01T10:00", "", "Europe/Berlin"), DateValue("2026-07-01T08:00+00:00"), True),
        (DateValue("2026-07-01"), DateValue("2026-07-01T00:00+00:00"), False),
        (ChoiceValue("select", Choice("A", "1", "red")), ChoiceValue("select", Choice("A")), True),
        (ChoiceValue("select", Choice("A")), ChoiceValue("select", Choice("B")), False),
        (ChoicesValue((Choice("A"), Choice("B"))), ChoicesValue((Choice("B"), Choice("A"))), True),
        (TextValue("title", rich((Text("a "),))), TextValue("title", rich((Text("a"),))), True),
        (NumberValue(1), NumberValue(1.0), True),
        (NumberValue(0), None, False),
        (CheckboxValue(False), None, True),
        (RelationValue((ID,), True), RelationValue((ID,)), False),
        (LineValue("url", ""), None, True),
    ],
)  # fmt: skip
def test_same_is_what_notion_cannot_tell_apart(one: Value, other: Value, equal: bool) -> None:
    assert same(one, other) is equal
