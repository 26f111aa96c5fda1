import json
from typing import Any

import pytest

from higherself.agents.skills import InputRejected, SkillCall, skills_in
from higherself.business.skills import notion
from higherself.kernel.errors import Misconfigured, NotFound
from higherself.testing.notion import RememberedPages

SKILLS = {each.name: each for each in skills_in(vars(notion))}


class Desk:
    """Runs the skills over pages that are kept in memory."""

    def __init__(self) -> None:
        self.pages = RememberedPages()

    async def run(self, name: str, key: str = "k", entity: str = "gallery", **given: Any) -> Any:
        call = SkillCall(key=key, entity=entity, resources={notion.NOTION: self.pages})
        return json.loads(json.dumps(await SKILLS[name].run(given, call)))


async def test_a_page_from_its_making_to_its_comment() -> None:
    desk = Desk()
    ana = await desk.run(
        "create_page",
        "1",
        database="contacts",
        properties={"Name": "Ana", "Score": 70},
        markdown="# Ana",
    )
    again = await desk.run(
        "create_page", "1", database="contacts", properties={"Name": "Ana", "Score": 70}
    )
    assert again == ana
    await desk.run("create_page", "2", database="contacts", properties={"Name": "Bo"})
    found = await desk.run("find_pages", database="contacts", where={"Score": 70})
    assert [page["title"] for page in found["pages"]] == ["Ana"]
    assert (await desk.run("find_pages", database="contacts", text="an"))["pages"][0]["id"] == ana[
        "id"
    ]
    await desk.run("update_page", page=ana["id"], properties={"Score": 80})
    linked = await desk.run("link_pages", page=ana["id"], relation="Knows", to=["page-2"])
    assert linked["properties"] == {"Name": "Ana", "Score": 80, "Knows": ["page-2"]}
    for _ in range(2):
        await desk.run("append_to_page", "3", page=ana["id"], markdown="More")
        assert await desk.run("comment_on_page", "4", page=ana["id"], markdown="Hi") == {
            "id": "comment-1"
        }
    assert desk.pages.texts[ana["id"]] == "# Ana\n\nMore"
    assert desk.pages.comments == [(ana["id"], "Hi")]


async def test_another_business_sees_none_of_it() -> None:
    desk = Desk()
    ana = await desk.run("create_page", database="contacts", properties={"Name": "Ana"})
    assert (await desk.run("find_pages", entity="spa", database="contacts"))["pages"] == []
    with pytest.raises(NotFound):
        await desk.run("update_page", entity="spa", page=ana["id"], properties={})


async def test_wrong_input_and_no_notion() -> None:
    with pytest.raises(InputRejected, match="to: "):
        await Desk().run("link_pages", page="p", relation="r", to=[])
    with pytest.raises(Misconfigured, match="notion"):
        await SKILLS["find_pages"].run({"database": "contacts"}, SkillCall(key="k"))


def test_what_they_do_to_the_world() -> None:
    assert {name: each.effects for name, each in SKILLS.items()} == {
        "find_pages": "read",
        **dict.fromkeys(
            ["create_page", "update_page", "append_to_page", "link_pages", "comment_on_page"],
            "external",
        ),
    }
    assert all(each.idempotent for each in SKILLS.values())
