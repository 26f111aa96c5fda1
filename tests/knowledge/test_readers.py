import io
import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from higherself.kernel.errors import NotFound
from higherself.knowledge.errors import MissingPath
from higherself.knowledge.model import Failure, NewDocument
from higherself.knowledge.readers import READERS, find, read
from higherself.knowledge.readers import file as readers
from higherself.knowledge.readers.file import MAX_TEXT, Reading

MTIME = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
Write = Callable[[str, str | bytes], list[Reading]]


def read_all(path: Path, **options: Any) -> list[Reading]:
    defaults: dict[str, Any] = {"base": path.parent, "entity": "spa", "source": "files"}
    return list(read(path, **defaults | options))


@pytest.fixture
def reading(tmp_path: Path) -> Write:
    """Writes a file and reads it."""

    def write_and_read(name: str, content: str | bytes) -> list[Reading]:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        os.utime(path, (MTIME.timestamp(), MTIME.timestamp()))
        return read_all(path, base=tmp_path)

    return write_and_read


def only(readings: list[Reading]) -> NewDocument:
    (document,) = readings
    assert isinstance(document, NewDocument), document
    return document


def failure(readings: list[Reading]) -> Failure:
    (failed,) = readings
    assert isinstance(failed, Failure), failed
    return failed


# --- Finding files.


def tree(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x")


def found(root: Path, *paths: str) -> list[str]:
    return [path.relative_to(root).as_posix() for path in find([root / path for path in paths])]


def test_find_lists_known_files_below_folders_sorted(tmp_path: Path) -> None:
    tree(tmp_path, "b.md", "a/z.txt", "a/b/C.PDF", "a/skip.exe", "a/no_suffix", "z.jsonl")

    assert found(tmp_path, ".") == ["a/b/C.PDF", "a/z.txt", "b.md", "z.jsonl"]


def test_find_passes_over_what_is_hidden_unless_it_is_named(tmp_path: Path) -> None:
    tree(tmp_path, ".git/a.md", "d/.hidden.md", "d/a.md", ".notes/b.md", ".one.md")

    assert found(tmp_path, ".") == ["d/a.md"]
    assert found(tmp_path, ".notes", ".one.md") == [".notes/b.md", ".one.md"]


def test_find_takes_a_named_file_of_any_suffix(tmp_path: Path) -> None:
    tree(tmp_path, "notes.org")

    assert found(tmp_path, "notes.org") == ["notes.org"]


def test_find_returns_each_file_once(tmp_path: Path) -> None:
    tree(tmp_path, "d/a.md", "d/b.md")
    (tmp_path / "d/link.md").symlink_to("a.md")

    assert found(tmp_path, "d/b.md", "d", "d/a.md") == ["d/b.md", "d/a.md"]


def test_find_follows_links_and_ends(tmp_path: Path) -> None:
    tree(tmp_path, "d/a.md", "other/b.md")
    (tmp_path / "d/loop").symlink_to(tmp_path / "d")
    (tmp_path / "d/self").symlink_to("self")
    (tmp_path / "d/broken.md").symlink_to("nowhere.md")
    (tmp_path / "d/other").symlink_to(tmp_path / "other")

    assert found(tmp_path, "d") == ["d/a.md", "d/other/b.md"]


def test_find_handles_very_deep_folders(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["d"] * 1200)
    here = os.getcwd()
    try:
        os.chdir(tmp_path)
        for _ in range(1200):
            os.mkdir("d")
            os.chdir("d")
        Path("a.md").write_text("x")
    finally:
        os.chdir(here)

    try:
        assert list(find([tmp_path])) == [deep / "a.md"]
    finally:
        subprocess.run(["rm", "-rf", tmp_path / "d"], check=True)  # shutil.rmtree recurses


def test_find_names_a_missing_path_before_it_returns_any(tmp_path: Path) -> None:
    tree(tmp_path, "a.md")

    with pytest.raises(MissingPath, match=r"no file or folder '.*/nope'") as caught:
        find([tmp_path / "a.md", tmp_path / "nope"])
    assert isinstance(caught.value, NotFound)
    assert caught.value.path.endswith("/nope")


def test_a_folder_that_may_not_be_listed_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    tree(tmp_path, "closed/a.md")
    monkeypatch.setattr(Path, "iterdir", refuse)
    monkeypatch.setattr(os, "scandir", refuse)

    (folder,) = find([tmp_path / "closed"])
    assert failure(read_all(folder)).reason == "permission denied"


# --- What every kind shares.


def test_a_document_says_where_it_comes_from(tmp_path: Path) -> None:
    tree(tmp_path, "docs/häuser & co/spa #1.txt")
    path = tmp_path / "docs/häuser & co/spa #1.txt"
    os.utime(path, (MTIME.timestamp(), MTIME.timestamp()))

    assert read_all(path, base=tmp_path / "docs", tags=("a", "b")) == [
        NewDocument(
            external_id="häuser & co/spa #1.txt",
            text="x",
            entity="spa",
            source="files",
            title="Spa #1",
            uri=path.as_uri(),
            tags=("a", "b"),
            metadata={},
            at=MTIME,
        )
    ]


def test_a_file_beside_the_base_keeps_a_name_of_its_own(tmp_path: Path) -> None:
    tree(tmp_path, "other/a.md")

    assert (
        only(read_all(tmp_path / "other/a.md", base=tmp_path / "d")).external_id == "../other/a.md"
    )


@pytest.mark.parametrize(
    ("content", "text"),
    [
        pytest.param(b"\xef\xbb\xbfna\xc3\xafve", "naïve", id="UTF-8 with a mark"),
        pytest.param("naïve".encode("utf-16"), "naïve", id="UTF-16"),
        pytest.param(b"\xfe\xff" + "naïve".encode("utf-16-be"), "naïve", id="UTF-16, big end first"),
        pytest.param(b"a\r\nb\rc\n", "a\nb\nc\n", id="ends of lines"),
    ],
)  # fmt: skip
def test_encodings(reading: Write, content: bytes, text: str) -> None:
    assert only(reading("a.txt", content)).text == text


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        pytest.param("a.txt", b"caf\xe9 au lait", "not UTF-8: byte 0xE9 at offset 3; convert it", id="Latin 1"),
        pytest.param("a.md", b"\x89PNG\r\n\x00\x00", "looks binary", id="NUL bytes"),
        pytest.param("a.md", "a\0b".encode("utf-16"), "looks binary", id="NUL characters"),
        pytest.param("a.md", b"\xff\xfea", "not UTF-16", id="half a character"),
        pytest.param("a.txt", b"\xff\xfe\x00\xd8", "not UTF-16", id="half a pair"),
        pytest.param("a.txt", b"", "empty", id="empty"),
        pytest.param("a.md", b" \n\t\n", "empty", id="blank"),
        pytest.param("a.md", b"---\ntitle: x\n---\n\n", "empty", id="nothing but front matter"),
        pytest.param("a.html", b"<title>x</title><script>y</script>", "empty", id="nothing to see"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_says_why(
    reading: Write, tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    failed = failure(reading(name, content))

    assert failed.path == str(tmp_path / name)
    assert reason in failed.reason


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.html", "a.csv", "a.unknown", "a.json"])
def test_a_huge_file_is_refused_unread(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with path.open("wb") as file:
        file.truncate(100_000_000)
    tracemalloc.start()

    failed = failure(read_all(path))

    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()
    assert "it has 100,000,000 bytes and the limit is" in failed.reason


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PermissionError(13, "Permission denied"), "permission denied"),
        (OSError(5, "Input/output error"), "Input/output error"),
        (OSError("odd"), "odd"),
    ],
)
def test_a_file_that_does_not_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, reason: str
) -> None:
    def refuse(*_: object) -> None:
        raise error

    tree(tmp_path, "a.md")
    monkeypatch.setattr(Path, "open", refuse)

    assert failure(read_all(tmp_path / "a.md")) == Failure(str(tmp_path / "a.md"), reason)


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    assert failure(read_all(tmp_path / "pipe")).reason == "it is not a regular file"
    assert failure(read_all(tmp_path)).reason == "it is a folder"
    assert failure(read_all(tmp_path / "gone")).reason == "No such file or directory"


def test_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/caf\xe9.md"
    try:
        Path(os.fsdecode(path)).write_text("x")
    except OSError:
        pytest.skip("this file system has UTF-8 names only")

    failed = failure(read_all(Path(os.fsdecode(path))))

    assert failed.reason == "its name is not UTF-8; rename it"
    assert failed.path.endswith("caf\ufffd.md")


def test_an_odd_time_of_change_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path, "a.md")
    odd = os.stat_result([0o100644, 1, 1, 1, 0, 0, 1, 0, 10**18, 0])
    monkeypatch.setattr(Path, "stat", lambda *_: odd)

    assert only(read_all(tmp_path / "a.md")).at is None


# --- Markdown and plain text.

FRONT = """---
title: Late arrivals
tags: [policy, front desk, '#spa', policy]
date: 2026-01-06
owner: {name: Denise, since: 2020-05-01}
rank: 3
draft: false
---

# The policy

Text.
"""


def test_front_matter(reading: Write) -> None:
    document = only(reading("policies/late.md", FRONT))

    assert document.title == "Late arrivals"
    assert document.tags == ("policy", "front desk", "spa")
    assert document.at == datetime(2026, 1, 6, tzinfo=UTC)
    assert document.metadata == {
        "owner": {"name": "Denise", "since": "2020-05-01"},
        "rank": 3,
        "draft": False,
    }
    assert document.text == "# The policy\n\nText.\n"


@pytest.mark.parametrize(
    ("given_date", "at"),
    [
        pytest.param("2026-01-06", datetime(2026, 1, 6, tzinfo=UTC), id="date"),
        pytest.param("2026-01-06 10:00:00 -0500", datetime(2026, 1, 6, 15, tzinfo=UTC), id="with a zone"),
        pytest.param("2026-01-06T10:00:00Z", datetime(2026, 1, 6, 10, tzinfo=UTC), id="ISO 8601"),
        pytest.param("'2026-01-06 10:00'", datetime(2026, 1, 6, 10, tzinfo=UTC), id="text"),
        pytest.param("0001-01-01 00:00:00 +05:00", MTIME, id="before the first year"),
    ],
)  # fmt: skip
def test_the_date_of_front_matter(reading: Write, given_date: str, at: datetime) -> None:
    assert only(reading("a.md", f"---\ndate: {given_date}\n---\nx")).at == at


def test_a_date_in_words_stays_metadata(reading: Write) -> None:
    document = only(reading("a.md", "---\ndate: next Tuesday\n---\nx"))

    assert (document.at, document.metadata) == (MTIME, {"date": "next Tuesday"})


@pytest.mark.parametrize(
    ("front", "line", "reason"),
    [
        pytest.param("title: a: b\n", 2, "mapping values are not allowed here", id="syntax"),
        pytest.param("a: 1\nb: [1,\n", 4, "expected", id="an open list"),
        pytest.param("a: 1\nb: 2026-13-45\n", 3, "month must be in 1..12", id="no such day"),
        pytest.param("a: 1\nb: !!timestamp x\n", 3, "", id="no time"),
        pytest.param("a: !!python/object:os.system {}\n", 2, "could not determine a constructor", id="code"),
        pytest.param("a: &a [x]\nb: [*a, *a]\n", 3, "aliases", id="aliases"),
        pytest.param("b: 1\na: \x07\n", 3, "special characters", id="control characters"),
        pytest.param("a: !!int ''\n", 2, "", id="no number"),
        pytest.param("? [a, b]\n: c\n", 2, "", id="a list as a key"),
    ],
)  # fmt: skip
def test_broken_front_matter_names_its_line(
    reading: Write, front: str, line: int, reason: str
) -> None:
    failed = failure(reading("a.md", f"---\n{front}---\ntext"))

    assert failed.path.endswith(f"a.md:{line}")
    assert f"front matter, line {line}: " in failed.reason
    assert reason in failed.reason


@pytest.mark.parametrize(
    "front",
    [
        pytest.param('a: "x\\0y"', id="NUL"),
        pytest.param('title: "x\\ud800"', id="half a pair"),
        pytest.param("a: .nan", id="no number"),
        pytest.param("a: !!binary aGk=", id="bytes"),
        pytest.param("tags: {a: b}", id="tags"),
        pytest.param("title: [a]", id="title"),
        pytest.param("a: " + "[" * 5000 + "]" * 5000, id="deep"),
        pytest.param("a: " + "- " * 5000, id="deep lists"),
        pytest.param("a: 1" + ":59" * 5000, id="a number of 9,000 digits"),
    ],
)
def test_front_matter_that_cannot_be_stored(reading: Write, front: str) -> None:
    assert failure(reading("a.md", f"---\n{front}\n---\ntext")).reason


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("---\nA rule above, a rule below.\n\n---\nMore.\n", id="rules"),
        pytest.param("---\ntitle: never closed\n", id="never closed"),
        pytest.param("---\n- a\n---\n", id="a list"),
        pytest.param("\n---\ntitle: late\n---\n", id="not at the top"),
        pytest.param("---\n" + "a: b\n" * 50_000 + "---\n", id="too long"),
    ],
)
def test_what_is_no_front_matter_is_text(reading: Write, text: str) -> None:
    assert only(reading("a.md", text)).text == text


@pytest.mark.parametrize(
    ("name", "text", "title"),
    [
        pytest.param("a.md", "---\ntitle: 2026\n---\n# No\n", "2026", id="front matter, a number"),
        pytest.param("a.md", "x\n\n```\n# no\n```\n\nYes *we* do\n===\n", "Yes we do", id="first heading"),
        pytest.param("gift-card_policy.md", "x", "Gift card policy", id="name"),
        pytest.param("2026-01-06.md", "x", "2026-01-06", id="a date as a name"),
        pytest.param("a.txt", "From: a@example.org\nSubject:  Your\tvisit \n\nHello", "Your visit", id="mail"),
        pytest.param("a.txt", "Dear all,\nSubject: no\n", "A", id="no mail"),
        pytest.param("a.log", "# a comment\n", "A", id="a number sign in plain text"),
        pytest.param("a.md", f"# {'x' * 900}", "x" * 200, id="long"),
    ],
)  # fmt: skip
def test_titles(reading: Write, name: str, text: str, title: str) -> None:
    assert only(reading(name, text)).title == title


# --- HTML.

PAGE = """<?xml version="1.0"?><!DOCTYPE html>
<html><head><title>Prices &amp; hours</title>
<meta name="Description" content="What it costs.">
<meta name="keywords" content="prices, hours">
<meta property="article:modified_time" content="2026-02-01T08:00:00+01:00">
<style>p { color: red }</style></head>
<body><nav><a href="/">Home</a></nav><!-- a comment -->
<h1>Our
  <em>prices</em></h1>
<p>See   <a href="https://example.org/map">the map</a>, <a href="/rules">our rules</a>
and <a href="https://example.org">https://example.org</a>.<br>Second line.</p>
<ul><li>One<ul><li>Deep</li></ul></li><li><p>Two</p><p>More</p></li></ul>
<ol><li>First</li><li>Second</li></ol>
<table><caption>Rates</caption><thead><tr><th>What</th><th>$</th></tr></thead>
<tbody><tr><td>Sauna | steam</td><td>20</td></tr></tbody></table>
<pre>
def f():
    return 1
</pre>
<blockquote><p>Kind</p><p>words</p></blockquote>
<img alt="The pool" src="x.png"><script>alert(1)</script>
</body></html>"""

RENDERED = """# Our prices

See the map (https://example.org/map), our rules and https://example.org.
Second line.

- One

  - Deep
- Two

  More

1. First
2. Second

Rates

| What | $ |
|---|---|
| Sauna \\| steam | 20 |

```
def f():
    return 1
```

> Kind
>
> words

The pool"""


def test_html(reading: Write) -> None:
    document = only(reading("prices.html", PAGE))

    assert document.text == RENDERED
    assert document.title == "Prices & hours"
    assert document.tags == ("prices", "hours")
    assert document.metadata == {"description": "What it costs."}
    assert document.at == datetime(2026, 2, 1, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("html", "text"),
    [
        pytest.param("just text", "just text", id="no markup"),
        pytest.param("https://example.org", "https://example.org", id="an address"),
        pytest.param("<p>a<p>b<ul><li>c<li>d</ul>", "a\n\nb\n\n- c\n  - d", id="ends left out"),
        pytest.param("<table><tr><td><h2>T</h2><p>x</table>", "## T\n\nx", id="a table for layout"),
        pytest.param("<div>a</div><div>b <b>c</b> d</div>", "a\n\nb c d", id="blocks"),
        pytest.param("<p>&#0;&#xD800;&amp;&nbsp;x</p>", "\ufffd\ufffd& x", id="what cannot be stored"),
        pytest.param("<pre>```\nx\n```</pre>", "~~~~\n```\nx\n```\n~~~~", id="a fence in code"),
        pytest.param("a<p>b<a href='http://x", "a\n\nb", id="a tag that never ends"),
        pytest.param("a<!-- b <p>c", "a", id="a comment that never ends"),
        pytest.param("<template>no</template><svg><text>no</text></svg>yes", "yes", id="dropped"),
    ],
)  # fmt: skip
def test_html_in_detail(reading: Write, html: str, text: str) -> None:
    assert only(reading("a.htm", html)).text == text


@pytest.mark.parametrize(
    "tag", ["div", "b", "li", "ul", "table", "td", "p", "h1", "blockquote", "a"]
)
def test_html_that_nests_deeply_is_still_read(reading: Write, tag: str) -> None:
    document = only(reading("a.html", f"<{tag}>word " * 3000))

    assert document.text.count("word") == 3000


def test_html_without_a_title_has_that_of_its_first_heading(reading: Write) -> None:
    assert only(reading("a.html", "<p>x</p><h2>About <i>us</i></h2>")).title == "About us"


# --- CSV.


def test_csv_gives_each_row_a_heading(reading: Write) -> None:
    document = only(
        reading(
            "price-list.csv",
            'id,Service,Price,Notes\n1,Swedish massage,90,"warm, slow"\n2,Sauna,20,\n3,Float,70,"two\nlines"\n',
        )
    )

    assert document.title == "Price list"
    assert document.metadata == {"columns": ["id", "Service", "Price", "Notes"], "rows": 3}
    assert document.text == (
        "## Swedish massage\n\nid: 1\nService: Swedish massage\nPrice: 90\nNotes: warm, slow\n\n"
        "## Sauna\n\nid: 2\nService: Sauna\nPrice: 20\n\n"
        "## Float\n\nid: 3\nService: Float\nPrice: 70\nNotes: two lines\n\n"
    )


def test_csv_keeps_uneven_rows_with_a_note(reading: Write) -> None:
    document = only(reading("a.csv", "Name,\nAnn,1,x,y\n\nBob\n"))

    assert document.text == (
        "## Ann\n\nName: Ann\ncolumn 2: 1\ncolumn 3: x\ncolumn 4: y\n(line 2: 4 cells for 2 columns)\n\n"
        "## Bob\n\nName: Bob\n(line 4: 1 cells for 2 columns)\n\n"
    )
    assert document.metadata["uneven_lines"] == [2, 4]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "name;price\nSauna;9,50\n"),
        ("a.tsv", "name\tprice\nSauna\t9,50\n"),
        ("a.csv", "name\tprice\nSauna\t9,50\n"),
        ("a.csv", "name|price\nSauna|9,50\n"),
        ("a.csv", '"name";"price"\n"Sauna";"9,50"\n'),
    ],
)
def test_csv_delimiters(reading: Write, name: str, text: str) -> None:
    assert only(reading(name, text)).text == "## Sauna\n\nname: Sauna\nprice: 9,50\n\n"


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        pytest.param("name,price\n", "", "no row", id="a header alone"),
        pytest.param("1,2\n3,4\n", "", "the first row must name the columns", id="no header"),
        pytest.param(f"{'x' * 200_000}\n1\n", ":1", "field larger", id="a huge name"),
        pytest.param(f"a,b\n1,2\n{'x' * 200_000},3\n", ":3", "field larger", id="a huge cell"),
    ],
)
def test_csv_that_is_none(reading: Write, text: str, place: str, reason: str) -> None:
    failed = failure(reading("a.csv", text))

    assert failed.path.endswith("a.csv" + place)
    assert reason in failed.reason


def test_a_table_that_grows_too_long_is_refused(
    reading: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "MAX_TEXT", 1000)

    assert (
        "the limit of 1,000 bytes"
        in failure(reading("a.csv", f"{'n' * 200}\n" + "x\n" * 10)).reason
    )


# --- JSON Lines and JSON.


def lines(*values: object) -> str:
    return "".join(f"{json.dumps(value)}\n" for value in values)


def test_json_lines(reading: Write) -> None:
    entry = {
        "id": "p1", "title": " Pools ", "text": "Warm.", "tags": ["a"], "uri": "https://example.org/1",
        "date": "2026-01-06T10:00:00+02:00", "metadata": {"k": 1}, "author": "Ann",
    }  # fmt: skip
    first, second, third = reading(
        "d/faq.jsonl", lines(entry, {"_id": 7, "text": "# Heat\n"}, {"id": "x", "text": "y"})
    )

    assert isinstance(first, NewDocument)
    assert (first.external_id, first.title, first.text) == ("d/faq.jsonl#p1", "Pools", "Warm.")
    assert (first.tags, first.uri, first.metadata) == (
        ("a",), "https://example.org/1", {"k": 1, "author": "Ann"},
    )  # fmt: skip
    assert first.at == datetime(2026, 1, 6, 8, tzinfo=UTC)
    assert isinstance(second, NewDocument)
    assert (second.external_id, second.title, second.at) == ("d/faq.jsonl#7", "Heat", MTIME)
    assert second.uri
    assert second.uri.endswith("/d/faq.jsonl")
    assert isinstance(third, NewDocument)
    assert third.title == "x"


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        pytest.param('{"id": "b", "text": "x"', "it is not JSON: Expecting ',' delimiter at column 24", id="syntax"),
        pytest.param('["b"]', "not an object", id="a list"),
        pytest.param('{"id": "b"}', "the field `text` is missing or empty", id="no text"),
        pytest.param('{"id": "b", "text": " "}', "the field `text` is missing or empty", id="blank text"),
        pytest.param('{"id": "b", "text": 3}', "the field `text` must be a text", id="a number as text"),
        pytest.param('{"text": "x"}', "the field `id` is missing or empty", id="no id"),
        pytest.param('{"id": true, "text": "x"}', "the field `id` must be a text", id="an odd id"),
        pytest.param('{"id": "b", "text": "x", "date": "soon"}', "`date` must be an ISO 8601", id="date"),
        pytest.param('{"id": "b", "text": "x", "date": 5}', "`date` must be an ISO 8601", id="a number as date"),
        pytest.param('{"id": "b", "text": "x", "tags": [[]]}', "`tags` must be a list of words", id="tags"),
        pytest.param('{"id": "b", "text": "x", "metadata": []}', "`metadata` must be an object", id="metadata"),
        pytest.param('{"id": "b", "text": "x\\u0000y"}', "text cannot be stored as JSON: it contains a NUL", id="NUL"),
        pytest.param('{"id": "b", "text": "x\\ud800"}', "half of a surrogate pair", id="half a pair"),
        pytest.param('{"id": "b\\u0000", "text": "x"}', "id cannot be stored", id="NUL in the id"),
        pytest.param('{"id": "b", "text": "x", "n": {"\\u0000": 1}}', "NUL", id="NUL in a key"),
        pytest.param('{"id": "b", "text": "x", "n": NaN}', "metadata.n cannot be stored", id="NaN"),
        pytest.param('{"id": "b", "text": "x", "n": 1e999}', "metadata.n cannot be stored", id="infinity"),
        pytest.param('{"id": "b", "text": "x", "n": %s}' % ("9" * 5000), "number that is too long", id="number"),
        pytest.param("[" * 100_000, "nested too deeply", id="deep"),
        pytest.param('{"id": "a", "text": "again"}', "the id 'a' is already that of f.jsonl:1", id="the same id"),
    ],
)  # fmt: skip
def test_a_bad_line_is_reported_and_the_rest_goes_on(
    reading: Write, tmp_path: Path, bad: str, reason: str
) -> None:
    good = [{"id": "a", "text": "one"}, {"id": "c", "text": "two"}]
    first, failed, last = reading("f.jsonl", lines(good[0]) + "\n" + bad + "\n" + lines(good[1]))

    assert isinstance(first, NewDocument)
    assert isinstance(last, NewDocument)
    assert isinstance(failed, Failure)
    assert failed.path == str(tmp_path / "f.jsonl:3")
    assert reason in failed.reason


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"\n \n", "empty"),
        ('{"id": "a", "text": "x"}'.encode("utf-16"), "JSON Lines are UTF-8"),
        (b'{"id": "\x00', "looks binary"),
        (b'{"id": "a", "text": "caf\xe9"}', "byte 0xE9 at offset 24"),
    ],
)
def test_json_lines_that_are_none(reading: Write, content: bytes, reason: str) -> None:
    assert reason in failure(reading("a.ndjson", content)).reason


def test_a_mark_at_the_start_and_no_end_of_line_at_the_end(reading: Write) -> None:
    assert only(reading("a.jsonl", b'\xef\xbb\xbf{"id": "a", "text": "x"}')).text == "x"


def test_json_lines_are_never_in_memory_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with path.open("w") as file:
        for number in range(500):
            file.write(lines({"id": number, "text": "x" * 10_000}))
    tracemalloc.start()

    count = sum(
        isinstance(reading, NewDocument)
        for reading in read(path, base=tmp_path, entity="e", source="s")
    )

    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()
    assert count == 500


def test_a_huge_line_is_skipped_and_the_rest_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with path.open("wb") as file:
        file.write(b'{"id": "a", "text": "')
        for _ in range(40):
            file.write(b"x" * 1_000_000)
        file.write(b'"}\n' + lines({"id": "b", "text": "y"}).encode())
    tracemalloc.start()

    failed, document = read_all(path)

    assert tracemalloc.get_traced_memory()[1] < 3 * readers.MAX_LINE
    tracemalloc.stop()
    assert isinstance(failed, Failure)
    assert failed.path.endswith("a.jsonl:1")
    assert "it has 40,000,024 bytes" in failed.reason
    assert isinstance(document, NewDocument)


def test_a_text_over_the_limit_is_refused_by_its_size_in_bytes(
    reading: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "MAX_TEXT", 100)
    entries = [{"id": "a", "text": "é" * 50}, {"id": "b", "text": "é" * 51}]

    first, second = reading("a.jsonl", lines(*entries))

    assert isinstance(first, NewDocument)
    assert isinstance(second, Failure)
    assert second.reason.startswith("it has 102 bytes and the limit is 100")


def test_json_is_a_list_of_objects(reading: Write) -> None:
    first, second, third = reading(
        "a.json", '[{"id": "a", "text": "x"},\n{"id": "b"}, {"id": "a", "text": "y"}]'
    )

    assert isinstance(first, NewDocument)
    assert first.external_id == "a.json#a"
    assert isinstance(second, Failure)
    assert (second.path.rpartition("/")[2], second.reason) == (
        "a.json[1]",
        "the field `text` is missing or empty",
    )
    assert isinstance(third, Failure)
    assert third.reason == "the id 'a' is already that of a.json[0]"


def test_json_is_one_object_that_needs_no_id(reading: Write) -> None:
    assert only(reading("a.json", '{"title": "T", "text": "x"}')).external_id == "a.json"
    assert only(reading("a.json", '{"id": 1, "text": "x"}')).external_id == "a.json#1"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("3", "neither an object nor a list"),
        ("[]", "empty"),
        ("{}", "the field `text`"),
        ("", "it is not JSON: Expecting value at column 1"),
        ('[{"id": 1,\n}]', "at line 2, column 1"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_json_that_is_none(reading: Write, text: str, reason: str) -> None:
    assert reason in failure(reading("a.json", text)).reason


# --- PDF.


def pdf(*pages: str, title: str = "") -> bytes:
    """Return a PDF with a line of text on each page, written by hand."""
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for number, text in enumerate(pages):
        stream = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET" if text else ""
        objects += [
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] "
            f"/Resources << /Font << /F1 3 0 R >> >> /Contents {5 + 2 * number} 0 R >>",
            f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream",
        ]
    objects.append(f"<< /Title ({title}) >>")
    out, offsets = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n{content}\nendobj\n".encode()
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    size = len(objects) + 1
    return (
        out
        + (
            f"xref\n0 {size}\n0000000000 65535 f \n{table}"
            f"trailer\n<< /Size {size} /Root 1 0 R /Info {len(objects)} 0 R >>\nstartxref\n{len(out)}\n%%EOF\n"
        ).encode()
    )


def encrypted(user_password: str) -> bytes:
    pypdf = pytest.importorskip("pypdf")
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(pdf("Secret")))
    writer.encrypt(user_password, "owner", algorithm="AES-256")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


needs_pypdf = pytest.mark.skipif(
    find_spec("pypdf") is None, reason="the extra pdf is not installed"
)


@needs_pypdf
def test_pdf_has_a_heading_for_each_page(reading: Write) -> None:
    document = only(reading("a.pdf", pdf("Hello there", "", "Good bye", title="Manners")))

    assert document.text == "## Page 1\n\nHello there\n\n## Page 3\n\nGood bye\n\n"
    assert (document.title, document.metadata) == ("Manners", {"pages": 3})


@needs_pypdf
def test_pdf_of_one_page(reading: Write) -> None:
    document = only(reading("spa-rules.pdf", pdf("Hello")))

    assert (document.text, document.title) == ("Hello", "Spa rules")


@needs_pypdf
def test_pdf_that_needs_no_password_to_be_read(reading: Write) -> None:
    assert only(reading("a.pdf", encrypted(""))).text == "Secret"


@needs_pypdf
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(lambda: encrypted("secret"), "it is encrypted", id="encrypted"),
        pytest.param(lambda: pdf("", ""), "it has no text", id="scanned"),
        pytest.param(lambda: b"%PDF-1.4\nnonsense", "not a PDF that can be read", id="broken"),
        pytest.param(lambda: b"", "not a PDF that can be read", id="empty"),
    ],
)
def test_pdf_that_cannot_be_read(reading: Write, content: Callable[[], bytes], reason: str) -> None:
    assert reason in failure(reading("a.pdf", content())).reason


@pytest.mark.parametrize("module", ["pypdf", "pypdf.errors"])
def test_pdf_without_its_package(
    reading: Write, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)

    assert (
        "pip install 'higherself-network-server[pdf]'" in failure(reading("a.pdf", pdf("x"))).reason
    )


# --- Nothing a file holds makes reading fail.

STARTS = [
    b"", b"---\n", b"---\na: ", b"\xff\xfe", b"\xef\xbb\xbf", b"%PDF-1.4\n", b"<![", b"<html><table><tr><td>", b"<?xml",
    b"a,b\n", b'a;"', b'{"id": 1, "text": "', b'[{"id": ', b"Subject: ", b"From: x\n ", b"<pre>```", b"&#",
]  # fmt: skip
PIECES = [
    b"<li>", b"</ul>", b"<table>", b"<td>", b"<a href='http://x'>", b"<!--", b"<![CDATA[", b"&#xD800;", b"```\n", b"|",
    b"---\n", b": ", b"\n", b'"', b"\\ud800", b"\\u0000", b"}\n", b"]", b"!!timestamp ", b"&a ", b"*a", b"<<: ", b"2026-02-31",
    b"endobj", b"stream\n", b"<</Type /Page>>", b"\x00", b"\xe9",
]  # fmt: skip


@pytest.mark.parametrize("suffix", [*READERS, ".unknown"])
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    start=st.sampled_from(STARTS), rest=st.lists(st.sampled_from(PIECES) | st.binary(max_size=40))
)
@example(start=b"x", rest=[b"<" * 3000])
def test_reading_never_raises(tmp_path: Path, suffix: str, start: bytes, rest: list[bytes]) -> None:
    path = tmp_path / f"file{suffix}"
    path.write_bytes(start + b"".join(rest))

    readings = read_all(path)

    assert readings
    for reading in readings:
        if isinstance(reading, NewDocument):
            assert reading.text.strip()
            assert len(reading.text.encode()) <= MAX_TEXT
            assert "\0" not in f"{reading.text}{reading.title}{reading.tags}{reading.external_id}"
            assert reading.title.encode()
            assert reading.at
        else:
            assert reading.path.startswith(str(path))
            assert reading.reason
