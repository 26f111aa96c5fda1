"""The part of a page that is ours."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.notion.content.trees import CONTENTS

from higherself.notion.content import (
    RegionDamaged,
    canonical,
    edit_for,
    marked,
    parse,
    region,
    render,
    with_region,
)

PAGE = "# Plan\nWhat people write."


def test_a_region_is_added_read_and_changed_and_nothing_else() -> None:
    page = with_region(PAGE, "status", "- one")
    assert page.startswith(PAGE + "\n")
    assert region(page, "status") == "- one"
    assert region(page, "other") is None
    edit = edit_for(page, "status", "- two\n- three")
    assert edit is not None
    assert page.count(edit.old) == 1
    changed = page.replace(edit.old, edit.new)
    assert region(changed, "status") == "- two\n- three"
    assert changed.startswith(PAGE + "\n")
    assert edit_for(changed, "status", "- two\n- three") is None


def test_what_says_the_same_is_no_edit() -> None:
    page = with_region(PAGE, "status", "- **one**\n![a](https://f.com/a.png?X-Amz-Signature=1)")
    assert edit_for(page, "status", "* **one**\n\n![a](https://f.com/a.png?X-Amz-Signature=2)\n") is None  # fmt: skip


def test_people_may_write_around_it_and_colour_its_marks() -> None:
    page = with_region(PAGE, "status", "- one") + "\nMore words."
    page = page.replace('color="gray_bg"', 'color="red_bg"').replace(" · written", " (mine) · written")  # fmt: skip
    page = page.replace("**HigherSelf: status**", '<span color="red">**HigherSelf: status**</span>')
    assert region(page, "status") == "- one"
    assert with_region(page, "status", "- two") == page.replace("- one", "- two")


def test_two_regions_of_a_page_do_not_know_of_each_other() -> None:
    page = with_region(with_region(PAGE, "status", "- a"), "references", "- b")
    assert (region(page, "status"), region(page, "references")) == ("- a", "- b")
    assert region(with_region(page, "status", "- c"), "references") == "- b"


@pytest.mark.parametrize(
    ("page", "why"),
    [
        (marked("status", "- a") + "\n" + marked("status", "- b"), "beginning is there 2 times"),
        (marked("status", "- a").rsplit("<callout", 1)[0], "end is there 0 times"),
        (marked("status", "- a").split("</callout>", 1)[1].strip(), "beginning is there 0 times"),
        ("- x\n\t" + marked("status", "- a").replace("\n", "\n\t"), "moved inside another block"),
    ],
)
def test_a_damaged_region_is_refused_by_name(page: str, why: str) -> None:
    for change in (lambda: region(page, "status"), lambda: edit_for(page, "status", "x")):
        with pytest.raises(RegionDamaged, match=why):
            change()


def test_a_page_without_the_region_cannot_be_edited() -> None:
    with pytest.raises(RegionDamaged, match="no such part"):
        edit_for(PAGE, "status", "x")


def test_marks_inside_of_code_are_no_marks() -> None:
    page = "```\n" + marked("status", "x") + "\n```"
    assert region(page, "status") is None
    assert region(with_region(page, "status", "- one"), "status") == "- one"


def test_a_body_cannot_swallow_the_end_nor_have_the_marks_inside() -> None:
    page = with_region(PAGE, "status", "```\nnever closed")
    assert region(page, "status") == "```\nnever closed\n```"
    page = with_region(PAGE, "status", "<callout>\n<details>")
    assert edit_for(page, "status", "- a") is not None
    with pytest.raises(RegionDamaged, match="marks inside"):
        with_region(PAGE, "status", marked("status", "x"))


@given(CONTENTS, CONTENTS, st.text(max_size=20))
@settings(max_examples=30)
def test_nothing_outside_is_ever_touched(above: object, body: object, below: str) -> None:
    before, inside = render(above), render(body)  # type: ignore[arg-type]
    page = before + "\n" + marked("status", inside) + "\n" + render(parse(below))
    assert region(page, "status") == inside.strip("\n")
    changed = with_region(page, "status", "- new")
    assert changed == before + "\n" + marked("status", "- new") + "\n" + render(parse(below))
    assert canonical(with_region(changed, "status", inside)) == canonical(page)
