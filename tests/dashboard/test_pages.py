"""The pages, asked over a real socket: what they show, that they are sound, and that they are safe."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote_plus, urljoin

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from higherself.dashboard.passages import LONGEST, excerpt, matching, rendered
from higherself.dashboard.views import PART_BYTES
from higherself.db.embedded import EmbeddedPostgres
from higherself.db.errors import DatabaseUnavailable
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.knowledge.tiers import Tier
from higherself.testing.http import Site, running

ATTACK = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'><svg onload=alert(3)>"
REFUNDS = "# Refunds\n\nA **sound bath** is refunded a day ahead.\n\n| When | What |\n|---|---|\n| before | all |"


@pytest.fixture(scope="module", params=["", "/ops/desk"], ids=["at the top", "under a prefix"])
def site(server: EmbeddedPostgres, request: pytest.FixtureRequest) -> Iterator[Site]:
    """A site with three documents: one plain, one hostile, one long."""
    with running(server, prefix=request.param) as site:
        add(site, external_id="refunds.md", title="Refunds", text=REFUNDS, tags=["policy"])
        add(
            site,
            external_id=ATTACK,
            title=f"Hostile {ATTACK}",
            text=f"# Hostile {ATTACK}\n\n- **{ATTACK}**\n\n| {ATTACK} |\n\n[hostile](javascript:alert(4))",
            source=ATTACK,
            uri="javascript:alert(5)",
            tags=[ATTACK],
            metadata={ATTACK: ATTACK},
        )
        paragraphs = "\n\n".join(f"Paragraph {n} tells of the number {n}. " * 8 for n in range(400))
        add(site, external_id="long.md", title="Long", text=paragraphs, uri="https://example.org/l")
        yield site


def add(site: Site, **document: Any) -> None:
    answer = site.ask("POST", "/api/v1/knowledge/documents", {"entity": "studio", **document})
    assert answer.status == 201, answer.text


def address(site: Site, title: str) -> str:
    listed = site.ask("GET", "/api/v1/knowledge/documents").json()["documents"]
    (found,) = (row["document_id"] for row in listed if row["title"].startswith(title))
    return f"/knowledge/{found}"


class Page(HTMLParser):
    """Checks what a validator would while it reads, and notes what a test may ask for."""

    VOID = frozenset({"meta", "link", "img", "input", "br", "rect"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.links: list[str] = []
        self.forms: list[str] = []
        assert html.startswith("<!doctype html>")
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        assert len(given) == len(attributes), f"an attribute twice: {self.get_starttag_text()}"
        assert tag not in {"script", "style", "iframe", "object", "embed", "base"}
        assert not any(name.startswith("on") or name == "style" for name in given)
        self.tags.append((tag, given))
        self.links += [str(given[name]) for name in ("href", "src") if name in given]
        self.forms += [str(given["action"])] if tag == "form" else []
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag, f"</{tag}> closes nothing"

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [given for name, given in self.tags if name == tag]


def paths(site: Site) -> list[str]:
    return [
        "/",
        "/knowledge",
        "/knowledge?q=sound+bath",
        "/knowledge?q=hostile&mode=lexical",
        "/knowledge?q=nothing+%22of+the+kind%22",
        f"/knowledge?q={quote_plus(ATTACK)}&entity=studio",
        f"/knowledge?mode={quote_plus(ATTACK)}",
        f"/knowledge?entity={quote_plus(ATTACK)}",
        f"/knowledge/{quote_plus('no such document')}",
        f"/nowhere/at/all/{quote_plus(ATTACK)}",
        "/knowledge/%00",
        address(site, "Refunds"),
        address(site, "Hostile") + f"?q={quote_plus(ATTACK)}&chunk=0",
        address(site, "Long"),
    ]


def test_every_page_is_sound(site: Site) -> None:
    for path in paths(site):
        answer = site.get(path)
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8", path
        page = Page(answer.text)
        assert page.named("html") == [{"lang": "en"}]
        for once in ("title", "h1", "main", "header", "footer"):
            assert len(page.named(once)) == 1, (path, once)
        ids = [given["id"] for _, given in page.tags if "id" in given]
        assert len(ids) == len(set(ids)), path
        fields = {given["id"] for tag, given in page.tags if tag in {"input", "select"}}
        assert fields <= {given["for"] for given in page.named("label")}
        assert all("alt" in given for given in page.named("img"))


def test_every_page_is_small(site: Site) -> None:
    for path in paths(site):
        html = site.get(path).text
        assert len(html.encode()) <= 60_000, path
        page = Page(html)
        loaded = [
            given.get("href") or given.get("src")
            for tag, given in page.tags
            if tag in {"link", "img"}
        ]
        assert len(set(loaded)) + 1 <= 12


def test_nothing_hostile_becomes_a_tag(site: Site) -> None:
    for path in paths(site):
        html = site.get(path).text
        assert "<script" not in html
        assert "<img src=x" not in html
        assert "<svg onload" not in html
        assert not re.search(r'(href|src|action)="\s*javascript:', html), path


def test_every_link_leads_somewhere_under_any_prefix(site: Site) -> None:
    seen = set()
    for path in paths(site)[:4] + paths(site)[-3:]:
        here = f"http://127.0.0.1:{site.port}{site.prefix}{path}"
        page = Page(site.get(path).text)
        for link in page.links + page.forms:
            there = urljoin(here, link)
            if there.startswith("https://example.org/"):
                continue
            top = f"http://127.0.0.1:{site.port}{site.prefix}"
            assert there.startswith(f"{top}/"), (path, link)
            seen.add(there.removeprefix(top).partition("#")[0])
    for path in seen:
        assert site.get(path).status == 200, path
    assert {"/", "/knowledge"} <= seen
    assert any(path.startswith("/static/style.css") for path in seen)


def test_a_created_document_is_where_the_answer_says(site: Site) -> None:
    document = {"external_id": "elsewhere", "text": "Elsewhere.", "entity": "other"}
    answer = site.ask("POST", "/api/v1/knowledge/documents", document)
    location = answer.headers["Location"]
    assert location.startswith(f"{site.prefix}/api/v1/")
    assert site.ask("DELETE", location.removeprefix(site.prefix)).status == 200


def test_the_home_page_says_how_things_are(site: Site) -> None:
    html = site.get("/").text
    assert "Everything is well" in html
    assert "Studio" in html
    assert re.search(r'aria-label="100 % of the passages', html)
    twin = site.get("/?format=json").json()
    assert twin["ok"] is True
    assert twin["knowledge"]["documents"] == 3
    assert twin["spaces"][0]["coverage"] == 1.0


def test_the_home_page_says_what_is_wrong(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise DatabaseUnavailable("the database does not answer")

    monkeypatch.setattr(site.hs.database, "transaction", fail)
    answer = site.get("/")
    assert answer.status == 503
    assert "Something needs attention" in answer.text
    assert "higherself doctor" in answer.text
    Page(answer.text)


def test_a_search_shows_passages_with_reasons(site: Site) -> None:
    html = site.get("/knowledge?q=sound+bath").text
    assert "<strong>sound bath</strong>" not in html
    assert "<strong><mark>sound</mark> <mark>bath</mark></strong>" in html
    assert "The closest in meaning to your question." in html
    assert "Has your words: sound, bath." in html
    assert re.search(r'href="[./]+knowledge/[0-9a-f-]{36}\?chunk=0&amp;q=sound%20bath#c0"', html)


def test_a_search_has_a_twin(site: Site) -> None:
    twin = site.get("/knowledge?q=sound+bath&mode=lexical&format=json").json()
    assert (twin["query"], twin["mode"]) == ("sound bath", "lexical")
    assert twin["hits"][0]["document"]["title"] == "Refunds"


def test_a_search_without_an_answer_says_so(site: Site) -> None:
    html = site.get("/knowledge?q=%22of+the+kind%22&entity=studio").text
    assert "Nothing found" in html
    assert 'value="studio" selected' in html


def test_a_search_by_words_alone_says_why(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    roster = site.hs.knowledge._roster
    off = Tier("local", None, reason="the model is missing")
    monkeypatch.setattr(roster, "_tiers", [])
    monkeypatch.setattr(roster, "_off", [off])
    roster.forget()
    html = site.get("/knowledge?q=refunded").text
    assert "Searched by words alone: " in html
    assert "the model is missing" in html
    monkeypatch.undo()
    roster.forget()


def test_without_a_question_the_newest_documents_are_listed(site: Site) -> None:
    html = site.get("/knowledge").text
    titles = re.findall(r'<a href="[^"]+">(Long|Hostile|Refunds)', html)
    assert titles == ["Long", "Hostile", "Refunds"]
    assert [row["title"] for row in site.get("/knowledge?format=json").json()["documents"]][-1] == (
        "Refunds"
    )


def test_many_documents_are_listed_a_page_at_a_time(site: Site) -> None:
    rows = [{"external_id": f"n{n}", "text": f"N {n}.", "entity": "many"} for n in range(25)]
    assert site.ask("POST", "/api/v1/knowledge/documents", {"documents": rows}).status == 200
    first = site.get("/knowledge?entity=many").text
    (older,) = re.findall(r'href="[^"]*(/knowledge\?[^"]*after=[^"]+)"', first)
    second = site.get(older.replace("&amp;", "&")).text
    found = [re.findall(r">(n\d+)</a>", page) for page in (first, second)]
    assert [len(page) for page in found] == [20, 5]
    assert len(set(found[0] + found[1])) == 25
    for row in site.ask("GET", "/api/v1/knowledge/documents?entity=many").json()["documents"]:
        site.ask("DELETE", f"/api/v1/knowledge/documents/{row['document_id']}")


def test_a_document_is_shown_for_reading(site: Site) -> None:
    path = address(site, "Refunds")
    html = site.get(f"{path}?chunk=0&q=bath").text
    assert "<h1>Refunds</h1>" in html
    assert html.count(">Refunds<") == 1  # the heading that repeats the title is left out
    assert "<strong>sound <mark>bath</mark></strong>" in html
    assert "<th>When</th>" in html
    assert 'class="passage wanted"' in html
    assert site.get(f"{path}?format=json").json()["external_id"] == "refunds.md"


def test_a_long_document_comes_in_parts_that_leave_nothing_out(site: Site) -> None:
    path = address(site, "Long")
    seen, query = [], ""
    while True:
        html = site.get(path + query).text
        assert len(html.encode()) < 60_000
        seen += [int(number) for number in re.findall(r'id="c(\d+)"', html)]
        following = re.search(r'href="(\?chunk=\d+)">The next part', html)
        if following is None:
            break
        query = following[1]
    chunks = site.get(f"{path}?format=json").json()["chunks"]
    assert seen == [chunk["ordinal"] for chunk in chunks]
    assert sum(len(chunk["text"]) for chunk in chunks) > 3 * PART_BYTES
    assert f'id="c{seen[-1]}"' in site.get(f"{path}?chunk={seen[-1]}").text


def test_only_web_addresses_become_links(site: Site) -> None:
    assert 'href="https://example.org/l"' in site.get(address(site, "Long")).text
    assert "javascript:alert(5)" not in site.get(address(site, "Hostile")).text


@pytest.mark.parametrize(
    ("path", "status", "word"),
    [
        ("/knowledge/01a20481-d745-7d75-8689-0b516dcc59d1", 404, "There is no such thing"),
        ("/knowledge?q=a&mode=magic", 422, "hybrid, vector, lexical"),
        ("/knowledge?q=a&entity=No%20Slug", 422, "slug"),
        ("/knowledge?q=" + "a" * 1001, 422, "1,000"),
        ("/knowledge?after=x", 422, "identifier"),
        ("/nowhere", 404, "There is no such thing"),
        ("/static/views.py", 404, "There is no such thing"),
    ],
)
def test_a_problem_is_a_page_for_a_person_and_json_for_a_program(
    site: Site, path: str, status: int, word: str
) -> None:
    page = site.get(path)
    assert (page.status, word in page.text) == (status, True)
    Page(page.text)
    separator = "&" if "?" in path else "?"
    for answer in (site.ask("GET", path), site.get(f"{path}{separator}format=json")):
        assert answer.status == status
        assert answer.json()["status"] == status


def test_static_files_may_be_kept_and_pages_may_not(site: Site) -> None:
    assert "max-age" in site.get("/static/style.css").headers["Cache-Control"]
    assert site.get("/static/style.css").headers["Content-Type"].startswith("text/css")
    assert site.get("/static/icon.svg").headers["Content-Type"] == "image/svg+xml"
    assert site.get("/").headers["Cache-Control"] == "no-store"
    assert site.ask("HEAD", "/").status == 200


def test_an_empty_hub_says_how_to_begin(server: EmbeddedPostgres) -> None:
    with running(server) as site:
        for path in ("/", "/knowledge"):
            html = site.get(path).text
            Page(html)
            assert "Nothing here yet" in html
            assert "higherself knowledge add" in html
        assert "Nothing found" in site.get("/knowledge?q=refunds").text


# Passages, without a server


@pytest.mark.parametrize(
    ("text", "html"),
    [
        pytest.param("a\nb", "<p>a\nb</p>", id="lines stay lines"),
        pytest.param("a\n\nb", "<p>a</p><p>b</p>", id="paragraphs"),
        pytest.param("- a\n* b\n3. c", "<ul><li>a</li><li>b</li><li>c</li></ul>", id="list"),
        pytest.param("##### a ##", "<h3>a</h3>", id="a heading below the page's"),
        pytest.param("# ", "", id="an empty heading is left out"),
        pytest.param("a\n---\nb", "<p>a\nb</p>", id="a rule is left out"),
        pytest.param("[a](http://b)", "<p>a</p>", id="a link is its text"),
        pytest.param(
            "`<b>` **<i>**",
            "<p><code>&lt;b&gt;</code> <strong>&lt;i&gt;</strong></p>",
            id="escaped",
        ),
        pytest.param("*a b* 2*3*4 * c", "<p><em>a b</em> 2*3*4 * c</p>", id="italic, not times"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_rendered(text: str, html: str) -> None:
    assert rendered(text) == html


@given(st.text(st.sampled_from("*`[]()|#-_<>&'\" \nab1."), max_size=60))
@example("**a *b** c*")
@example("`**a` b**")
@example("*a [b* c](d)*")
def test_whatever_the_text_its_html_is_sound(text: str) -> None:
    Page(f"<!doctype html>{rendered(text, question='a b')}")


@pytest.mark.parametrize("part", ["**a ", "[", "*a", "`", "- ", "-", "# ", "|", "_ ", "![a]("])
def test_hostile_text_costs_no_more_than_its_length(part: str) -> None:
    started = SYSTEM_CLOCK.monotonic()
    rendered(part * 8_000 + "x", question="a")
    assert SYSTEM_CLOCK.monotonic() - started < 2


def test_marks_fit_within_what_they_stand_in() -> None:
    html = rendered("**the bath** [bath](bath) `bath`", question="bath")
    assert html == (
        "<p><strong>the <mark>bath</mark></strong> <mark>bath</mark> "
        "<code><mark>bath</mark></code></p>"
    )


def test_matching_words_as_they_stand() -> None:
    assert matching("Packed works; a packing list. Work!", "pack the work") == [
        "Packed",
        "works",
        "packing",
        "Work",
    ]


def test_an_excerpt_shows_the_first_match() -> None:
    text = "word " * 2_000 + "needle " + "word " * 2_000
    part = excerpt(text, "needles")
    assert "needle" in part
    assert len(part) <= LONGEST + 4
    assert part.startswith("… ")
    assert part.endswith(" …")
