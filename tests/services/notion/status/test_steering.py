import pytest
from tests.services.notion.status.story import Story, steering

from higherself.services.notion.commands import Roles

pytestmark = pytest.mark.postgres

ASKS = """
  first: {approval: {roles: [owner], question: "The first?", approved: {to: second}, rejected: {to: no_way}}}
  second: {approval: {roles: [owner], question: "The second?", approved: {to: yes_way}, rejected: {to: no_way}}}
  yes_way: {final: true}
  no_way: {final: true}
"""


async def test_an_operator_approves_in_notion_and_the_history_names_them(story: Story) -> None:
    await story.bench.define(ASKS)
    instance = await story.bench.start()
    await story.refreshed()
    page, ada = await story.page_of(instance), story.person()
    follows = steering(story, Roles.read("owner: ada@example.org"))
    ada.chooses(page, "Approve")
    await follows.cycle()
    assert (await story.bench.engine.get(instance)).instance.state == "second"
    entry = (await story.bench.history(instance))[-1]
    assert entry.cause == "approval"
    assert entry.data == {
        "outcome": "approved", "by": f"Ada Lovelace (Notion {ada.id})", "comment": "",
    }  # fmt: skip
    properties, _ = await story.shown(instance)
    assert properties["Action"] is None
    assert properties["Action Result"].startswith("✔ Approved by Ada Lovelace, ")
    await story.refreshed()
    _, text = await story.shown(instance)
    assert "<td>Ada Lovelace</td>" in text


async def test_the_same_choice_counts_again_in_the_same_minute(story: Story) -> None:
    await story.bench.define(ASKS)
    instance = await story.bench.start()
    await story.refreshed()
    page, ada = await story.page_of(instance), story.person()
    follows = steering(story, Roles.read("owner: ada@example.org"))
    for state in ("second", "yes_way"):
        ada.chooses(page, "Approve")
        await follows.cycle()
        await follows.cycle()
        assert (await story.bench.engine.get(instance)).instance.state == state
    ada.chooses(page, "Approve")
    await follows.cycle()
    properties, _ = await story.shown(instance)
    assert properties["Action Result"] == (
        "✘ Approve is not possible: it is completed, and nothing more can happen to it. (#3)"
    )


async def test_who_has_not_the_role_is_told(story: Story) -> None:
    await story.bench.define(ASKS)
    instance = await story.bench.start()
    await story.refreshed()
    page, eve = await story.page_of(instance), story.person("Eve", "eve@example.org")
    follows = steering(story, Roles.read("owner: ada@example.org"))
    eve.chooses(page, "Reject")
    await follows.cycle()
    assert (await story.bench.engine.get(instance)).instance.state == "first"
    properties, _ = await story.shown(instance)
    assert properties["Action Result"].startswith(
        "✘ Reject: Eve may not decide this; it is for owner."
    )


async def test_comments_are_done_once_and_answered_where_they_stand(story: Story) -> None:
    await story.bench.define(ASKS)
    instance = await story.bench.start()
    await story.refreshed()
    page, ada = await story.page_of(instance), story.person()
    follows = steering(story, Roles.read(f"owner: {ada.id}"))
    ada.comments(page, "What a lovely picture. Approve? Rather not yet.")
    ada.comments(page, "/approve as the artist wishes")
    ada.comments(page, "/aprove")
    await follows.steering.tick()
    await follows.steering.tick()
    assert (await story.bench.engine.get(instance)).instance.state == "second"
    assert (await story.bench.history(instance))[-1].data["comment"] == "as the artist wishes"  # type: ignore[call-overload, index]
    said = [each["rich_text"][0]["plain_text"] async for each in story.notion.api.comments(page)]
    assert len(said) == 5
    assert said[3].startswith("✔ Approved by Ada Lovelace")
    assert said[4] == "✘ There is no action 'aprove'; did you mean 'approve'?"


async def test_when_nobody_can_tell_who_it_was_a_decision_is_not_taken(story: Story) -> None:
    await story.bench.define(ASKS)
    instance = await story.bench.start()
    await story.refreshed()
    page, ada = await story.page_of(instance), story.person()
    follows = steering(story, Roles.read("owner: ada@example.org"))
    ada.chooses(page, "Approve")
    await story.status.store.mark(instance, wrong=True)
    await story.refreshed()  # while it waits to be seen, the server writes the page
    await follows.cycle()
    assert (await story.bench.engine.get(instance)).instance.state == "first"
    properties, _ = await story.shown(instance)
    assert "Choose it again, or comment /approve." in properties["Action Result"]
    ada.chooses(page, "Approve")
    await follows.cycle()
    assert (await story.bench.engine.get(instance)).instance.state == "second"


async def test_a_card_that_was_dragged_goes_back(story: Story) -> None:
    await story.bench.define(ASKS)
    instance = await story.bench.start()
    await story.refreshed()
    page, ada = await story.page_of(instance), story.person()
    follows = steering(story, Roles())
    ada.sets(page, {"Status": {"select": {"name": "Completed"}}})
    await follows.cycle()
    assert await story.refreshed() == 1
    assert (await story.shown(instance))[0]["Status"] == "Active"
    await follows.cycle()
    assert await story.refreshed() == 0


async def test_of_two_people_the_last_one_counts(story: Story) -> None:
    await story.bench.define(ASKS)
    instance = await story.bench.start()
    await story.refreshed()
    page, ada = await story.page_of(instance), story.person()
    ben = story.person("Ben Okri", "ben@example.org")
    follows = steering(story, Roles.read("owner: ada@example.org, ben@example.org"))
    ada.chooses(page, "Approve")
    ben.chooses(page, "Reject")
    await follows.cycle()
    assert (await story.bench.engine.get(instance)).instance.state == "no_way"
    (command,) = await story.status.store.commands(instance)
    assert (command["action"], command["person"], command["outcome"]) == (
        "Reject", "Ben Okri", "carried_out",
    )  # fmt: skip


async def test_whoever_may_not_steer_is_told(story: Story) -> None:
    await story.bench.define(ASKS)
    instance = await story.bench.start()
    await story.refreshed()
    page, eve = await story.page_of(instance), story.person("Eve", "eve@example.org")
    follows = steering(story, Roles.read("operator: ada@example.org"))
    eve.comments(page, "/cancel I do not like it")
    await follows.steering.tick()
    assert (await story.bench.engine.get(instance)).instance.status == "waiting"
    story.person().comments(page, "/cancel booked elsewhere")
    await follows.steering.tick()
    ended = (await story.bench.engine.get(instance)).instance
    assert (ended.status, ended.reason) == ("cancelled", "cancelled: booked elsewhere")
