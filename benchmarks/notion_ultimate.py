"""ultimate-notion, a real client of Notion, unchanged, against the emulator over TCP.

    .venv/bin/python benchmarks/notion_ultimate.py [--python PLACE/bin/python]

It goes into a temporary environment of its own, unless the Python of one that has it is named. Its
own tests are in no package of PyPI, so these are ours: what it can do, each thing once. The last
line says how many of them went well; the program ends with 1 if one did not.
"""

import argparse
import datetime as dt
import io
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

VERSION = "0.10.1"


def main() -> int:
    """Run the checks in an environment that has the client."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", help="a Python that has ultimate-notion")
    parser.add_argument("--inside", nargs=3, metavar=("URL", "TOKEN", "PAGE"), help=argparse.SUPPRESS)  # fmt: skip
    given = parser.parse_args()
    if given.inside:
        return inside(*given.inside)
    with tempfile.TemporaryDirectory() as folder:
        return outside(given.python or environment(Path(folder)), folder)


def environment(folder: Path) -> str:
    """Install the client, and return the Python that has it."""
    venv.create(folder / "env", with_pip=True)
    python = str(folder / "env/bin/python")
    subprocess.run([python, "-m", "pip", "install", "-q", f"ultimate-notion=={VERSION}"], check=True)  # fmt: skip
    return python


def outside(python: str, home: str) -> int:
    """Start an emulator with one page, and have the other Python work on it."""
    from notion_emulator.app import create_app
    from notion_emulator.seed import add_page
    from notion_emulator.server import Emulator
    from notion_emulator.settings import Settings
    from notion_emulator.ui.app import person_call

    app = create_app(seed_name="empty", settings=Settings(rate_mode="off", index_lag_s=0))
    page = add_page(person_call(app), {"title": "Root"}, {"type": "workspace", "workspace": True})
    with Emulator(app) as running:
        command = [python, __file__, "--inside", running.base_url, running.token, page]
        surroundings = {**os.environ, "HOME": home, "NOTION_TOKEN": running.token}
        return subprocess.run(command, env=surroundings, check=False, timeout=300).returncode


class Checks:
    """Counts what goes well."""

    def __init__(self) -> None:
        self.good, self.bad = 0, 0

    def check(self, name: str, holds: Any) -> None:
        """Call something that is to return a true value."""
        try:
            fault = None if holds() else "does not hold"
        except Exception as error:  # noqa: BLE001 - whatever the client raises is a finding
            fault = f"{type(error).__name__}: {error}"
        self.good += fault is None
        self.bad += fault is not None
        if fault:
            print(f"FAILED  {name}: {fault}")


def inside(url: str, token: str, root_id: str) -> int:
    """Do everything once."""
    import notion_client
    import ultimate_notion as uno

    checks = Checks()
    with uno.Session(client=notion_client.Client(auth=token, base_url=url)) as session:
        root = session.get_page(root_id)
        checks.check("whoami", lambda: session.whoami().is_bot)
        checks.check("users", lambda: len(session.all_users()) == 2)
        checks.check("search", lambda: session.search_page("Root"))
        page = session.create_page(parent=root, title="Child")
        checks.check("create a page", lambda: page.title == "Child")
        blocks(uno, checks, page, root)
        pages(uno, checks, page)
        tables(uno, checks, session, root)
        checks.check("upload", lambda: uploaded(uno, session, page))
    print(f"{checks.good} of {checks.good + checks.bad}")
    return int(checks.bad > 0)


def blocks(uno: Any, checks: Checks, page: Any, root: Any) -> None:
    """Append one block of every type, and edit some."""
    made = [
        uno.Paragraph("words"), uno.Heading1("1"), uno.Heading2("2"), uno.Heading3("3", toggleable=True),
        uno.Quote("q"), uno.Code("x = 1", language=uno.CodeLang.PYTHON), uno.Callout("c", icon="💡"),
        uno.BulletedItem("b"), uno.NumberedItem("n"), uno.ToDoItem("t", checked=True), uno.ToggleItem("t"),
        uno.Divider(), uno.TableOfContents(), uno.Breadcrumb(), uno.Embed("https://a.example"),
        uno.Bookmark("https://a.example"), uno.Equation("x^2"), uno.Columns(2), uno.Table(2, 2, header_row=True),
        uno.Image(uno.url("https://a.example/i.png")), uno.Video(uno.url("https://a.example/i.mp4")),
        uno.PDF(uno.url("https://a.example/i.pdf")), uno.LinkToPage(root),
    ]  # fmt: skip
    for block in made:
        checks.check(f"append {type(block).__name__}", lambda block=block: last_is(page, block))

    def edited() -> bool:
        page.children[0].rich_text = "changed"
        return bool(page.reload().children[0].rich_text == "changed")

    def inserted() -> bool:
        page.children[0].insert_after(uno.Paragraph("second"))
        return bool(page.reload().children[1].rich_text == "second")

    def deleted() -> bool:
        before = len(page.children)
        page.children[1].delete()
        return len(page.reload().children) == before - 1

    def nested() -> bool:
        outer = uno.ToggleItem("outer")
        page.append(outer)
        outer.append(uno.Paragraph("inner"))
        return bool(page.reload().children[-1].children[0].rich_text == "inner")

    for name, done in (("edit", edited), ("insert", inserted), ("delete", deleted), ("nest", nested)):  # fmt: skip
        checks.check(f"{name} a block", done)


def last_is(page: Any, block: Any) -> bool:
    """Append a block, and tell whether the last one read back is of its type."""
    page.append(block)
    return type(page.reload().children[-1]) is type(block)


def pages(uno: Any, checks: Checks, page: Any) -> None:
    """Change what a page is."""

    def dressed() -> bool:
        page.icon, page.cover, page.title = "🐍", uno.url("https://a.example/c.png"), "New"
        page.reload()
        return bool(page.title == "New" and str(page.icon) == "🐍")

    def trashed() -> bool:
        page.delete()
        gone = page.is_deleted
        page.restore()
        return bool(gone and not page.is_deleted)

    def commented() -> bool:
        page.comments.append("First")
        page.comments.append("Second")
        return len(page.reload().comments) == 2

    def locked() -> bool:
        page.is_locked = True
        found = page.reload().is_locked
        page.is_locked = False
        return bool(found)

    checks.check("markdown", lambda: "# 1" in page.to_markdown())
    checks.check("HTML", page.to_html)
    for name, done in (("icon, cover, title", dressed), ("trash", trashed), ("comments", commented), ("lock", locked)):  # fmt: skip
        checks.check(name, done)


def tables(uno: Any, checks: Checks, session: Any, root: Any) -> None:
    """Make a table from a schema, fill it, query it, change it."""
    kinds = uno.PropType

    class Items(uno.Schema, db_title="Items"):
        name = kinds.Title("Name")
        cost = kinds.Number("Cost", format=uno.NumberFormat.DOLLAR)
        stage = kinds.Select("Stage", options=[uno.Option("A", color=uno.Color.RED), uno.Option("B")])  # fmt: skip
        due = kinds.Date("Due")
        done = kinds.Checkbox("Done")
        tags = kinds.MultiSelect("Tags", options=[uno.Option("x")])
        twice = kinds.Formula("Twice", formula='prop("Cost") * 2')
        text = kinds.Text("Text")
        url = kinds.URL("URL")
        mail = kinds.Email("Mail")
        phone = kinds.Phone("Phone")
        created = kinds.CreatedTime("Created")
        edited = kinds.LastEditedTime("Edited")

    class Orders(uno.Schema, db_title="Orders"):
        name = kinds.Title("Name")
        item = kinds.Relation("Item", schema=Items)

    items = session.create_ds(parent=root, schema=Items)
    for n in range(5):
        items.create_page(name=f"Row {n}", cost=n * 10, stage="A" if n % 2 else "B", due=dt.date(2026, 7, n + 1), done=n > 2, tags=["x"], text="t", url="https://a.example", mail="a@a.example", phone="1")  # fmt: skip

    def found(condition: Any) -> int:
        return len(items.query.filter(condition).execute())

    prop = uno.prop
    checks.check("all rows", lambda: len(items.get_all_pages()) == 5)
    checks.check("filter numbers", lambda: found(prop("Cost") > 15) == 3)
    checks.check("filter by both", lambda: found((prop("Cost") > 5) & (prop("Stage") == "A")) == 2)
    checks.check("filter dates", lambda: found(prop("Due") > dt.date(2026, 7, 3)) == 2)
    checks.check("filter texts", lambda: found(prop("Name").contains("row")) == 5)
    checks.check("sort", lambda: items.query.sort(prop("Cost").desc()).execute()[0].props.cost == 40)  # fmt: skip
    checks.check("formula", lambda: max(r.props.twice for r in items.get_all_pages()) == 80)

    def changed() -> bool:
        row = items.get_all_pages()[0]
        row.props.cost = 99
        return bool(row.reload().props.cost == 99)

    def renamed() -> bool:
        items.schema.cost.name = "Costs"
        items.reload()
        return "Costs" in [each.name for each in items.schema]

    def titled() -> bool:
        items.title = "Renamed"
        return bool(items.reload().title == "Renamed")

    def related() -> bool:
        orders = session.create_ds(parent=root, schema=Orders)
        return len(orders.create_page(name="O", item=[items.get_all_pages()[0]]).props.item) == 1

    def deleted() -> bool:
        items.delete()
        return bool(items.is_deleted)

    for name, done in (("set a value", changed), ("rename a property", renamed), ("rename a table", titled), ("relate", related), ("delete a table", deleted)):  # fmt: skip
        checks.check(name, done)


def uploaded(uno: Any, session: Any, page: Any) -> bool:
    """Upload a file, attach it, and tell whether it is answered at a signed address."""
    content = io.BytesIO(b"hello")
    content.name = "a.txt"
    page.append(uno.File(session.upload(content)))
    return "X-Amz" in str(page.reload().children[-1].url)


if __name__ == "__main__":
    sys.exit(main())
