"""Routing: rules first, then scores; the same question has the same answer, with reasons."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from higherself.agents.routing import (
    WAYS,
    Candidate,
    Need,
    Rule,
    Selector,
    Suggestion,
    Table,
    route,
)

NYRA = Candidate("nyra", "lead_capture", frozenset({"lead_enrichment", "email"}), concurrency=4)
SOLARI = Candidate("solari", "booking_manager", frozenset({"booking", "email"}), concurrency=4)
ENRICH = Need(Selector(capability="lead_enrichment"), entity="the_7_space", task="enrich")
EMAIL = Need(Selector(capability="email"), entity="the_7_space", task="send_email")


@pytest.mark.parametrize(
    ("selector", "agent"),
    [
        (Selector(capability="booking"), "solari"),
        (Selector(role="lead_capture"), "nyra"),
        (Selector(name="solari"), "solari"),
        (Selector(role="booking_manager", capability="email"), "solari"),
        (Selector(role="booking_manager", capability="lead_enrichment"), None),
    ],
)
def test_every_key_of_the_selector_has_to_fit(selector: Selector, agent: str | None) -> None:
    assert route(Need(selector, "the_7_space"), [NYRA, SOLARI]).agent == agent


def test_an_agent_without_businesses_serves_all_of_them_and_others_only_theirs() -> None:
    ours = replace(NYRA, name="ours", entities=frozenset({"the_7_space"}))
    theirs = replace(NYRA, name="theirs", entities=frozenset({"am_consulting"}))
    assert route(ENRICH, [theirs]).agent is None
    assert route(ENRICH, [NYRA, theirs]).agent == "nyra"
    assert route(ENRICH, [NYRA, ours]).agent == "ours"
    selected = Need(Selector(capability="email", entity="am_consulting"), "the_7_space")
    assert route(selected, [ours, theirs]).agent == "theirs"


def test_who_has_more_room_is_preferred() -> None:
    assert route(EMAIL, [replace(NYRA, running=3), replace(SOLARI, running=1)]).agent == "solari"


def test_who_succeeds_more_often_is_preferred() -> None:
    assert route(EMAIL, [replace(NYRA, failed=8), replace(SOLARI, done=8)]).agent == "solari"


def test_who_had_the_instance_before_is_preferred() -> None:
    assert route(EMAIL, [NYRA, SOLARI]).agent == "nyra"
    assert route(replace(EMAIL, before="solari"), [NYRA, SOLARI]).agent == "solari"


def test_but_not_if_it_fails_all_the_time() -> None:
    failing = replace(SOLARI, failed=50, running=3)
    assert route(replace(EMAIL, before="solari"), [NYRA, failing]).agent == "nyra"


def test_the_reason_and_the_scores_say_how_it_came_about() -> None:
    routing = route(replace(ENRICH, before="nyra"), [replace(NYRA, running=1, done=8), SOLARI])
    assert routing.reason == (
        "1 of 4 tasks (+0.75), 8 done and 0 failed (+0.90), had the instance before (+0.50)"
    )
    assert [(each.agent, each.score) for each in routing.scores] == [
        ("nyra", 2.15),
        ("solari", None),
    ]
    assert routing.scores[1].reasons == ("has not the capability lead_enrichment",)


# --- Rules.


def test_the_first_rule_that_fits_decides_whatever_the_scores() -> None:
    rules = [Rule("solari", task="send_*"), Rule("nyra")]
    routing = route(EMAIL, [NYRA, replace(SOLARI, running=3, failed=9)], rules)
    assert routing.agent == "solari"
    assert routing.reason == "rule: task send_* is solari's"


@pytest.mark.parametrize(
    ("rule", "fits"),
    [
        (Rule("solari"), True),
        (Rule("solari", task="send_email"), True),
        (Rule("solari", task="send"), False),
        (Rule("solari", task="se*"), True),
        (Rule("solari", capability="email"), True),
        (Rule("solari", capability="booking"), False),
        (Rule("solari", entity="the_7_space"), True),
        (Rule("solari", entity="am_consulting"), False),
        (Rule("solari", task="send_*", capability="email", entity="the_7_space"), True),
    ],
)
def test_what_a_rule_is_about(rule: Rule, fits: bool) -> None:
    assert rule.fits(EMAIL) is fits
    assert (route(EMAIL, [NYRA, SOLARI], [rule]).agent == "solari") is fits


def test_a_rule_for_an_agent_that_cannot_is_passed_over() -> None:
    busy = replace(SOLARI, running=4)
    assert route(EMAIL, [NYRA, busy], [Rule("solari")]).agent == "nyra"
    assert route(ENRICH, [NYRA, SOLARI], [Rule("solari"), Rule("nobody")]).agent == "nyra"


# --- Nobody.


def test_an_unknown_capability_is_said_with_the_nearest_known_one() -> None:
    need = Need(Selector(capability="lead_enrichmnt"), "the_7_space")
    routing = route(need, [NYRA, SOLARI])
    assert routing.agent is None
    assert routing.reason == (
        "no agent with capability lead_enrichmnt; did you mean 'lead_enrichment'?"
    )


def test_without_agents_nobody_has_the_capability() -> None:
    assert route(ENRICH, []).reason == "no agent with capability lead_enrichment"


def test_who_has_it_but_serves_others_is_no_use() -> None:
    theirs = replace(NYRA, entities=frozenset({"am_consulting"}))
    assert route(ENRICH, [theirs]).reason == (
        "no agent with capability lead_enrichment serves the_7_space"
    )


def test_those_who_are_busy_or_away_are_named() -> None:
    away = replace(SOLARI, away="its circuit is open")
    assert route(EMAIL, [replace(NYRA, running=4), away]).reason == (
        "every agent with capability email is busy or away: nyra is busy (4 of 4); "
        "solari is away: its circuit is open"
    )


def test_an_unknown_name_or_role_is_said() -> None:
    assert route(Need(Selector(name="nyro"), "x"), [NYRA]).reason == "no agent named nyro; did you mean 'nyra'?"  # fmt: skip
    assert route(Need(Selector(role="lead_captur"), "x"), [NYRA]).reason == "no agent with role lead_captur; did you mean 'lead_capture'?"  # fmt: skip


# --- Laws.

names = st.sampled_from(["nyra", "solari", "liora", "elan"])
candidates = st.lists(
    st.builds(
        Candidate,
        name=names,
        role=st.sampled_from(["", "writer"]),
        capabilities=st.frozensets(st.sampled_from(["email", "booking"])),
        entities=st.frozensets(st.sampled_from(["a", "b"])),
        running=st.integers(0, 4),
        concurrency=st.integers(1, 4),
        done=st.integers(0, 50),
        failed=st.integers(0, 50),
        away=st.sampled_from(["", "", "", "gone"]),
    ),
    max_size=5,
    unique_by=lambda each: each.name,
)
needs = st.builds(
    Need,
    selector=st.builds(
        Selector,
        capability=st.none() | st.sampled_from(["email", "booking", "other"]),
        role=st.none() | st.just("writer"),
    ),
    entity=st.sampled_from(["a", "b"]),
    before=st.none() | names,
)


@given(need=needs, agents=candidates)
def test_the_answer_does_not_depend_on_the_order_of_the_agents(
    need: Need, agents: list[Candidate]
) -> None:
    assert route(need, agents) == route(need, agents[::-1])
    assert len(route(need, agents).scores) == len(agents)


@given(need=needs, agents=candidates)
def test_who_is_chosen_can_do_it_and_there_is_always_a_reason(
    need: Need, agents: list[Candidate]
) -> None:
    routing = route(need, agents)
    assert routing.reason
    if routing.agent is None:
        assert all(each.score is None for each in routing.scores)
    else:
        (chosen,) = (each for each in agents if each.name == routing.agent)
        assert need.selector.capability is None or need.selector.capability in chosen.capabilities
        assert chosen.running < chosen.concurrency
        assert not chosen.away


# --- The order of the ways, by the type of a message.

NYRA2 = Candidate(
    "nyra",
    role="lead_capture",
    capabilities=frozenset({"lead_enrichment"}),
    concurrency=4,
    accepts=("new_lead", "lead.>", "contact_update", "anything_goes"),
    events=frozenset({"new_lead"}),
    prefixes=("lead", "contact"),
    fallbacks={"lead_enrichment": ("solari", "zevi"), "*": ("zevi",)},
)
SOLARI2 = Candidate(
    "solari",
    capabilities=frozenset({"lead_enrichment", "booking"}),
    concurrency=4,
    accepts=("new_booking", "lead.>", "contact_update", "order.*", "anything_goes"),
    prefixes=("lead.scored",),
)
GRACE = Candidate(
    "grace",
    accepts=("workflow.>", "new_lead", "anything_goes"),
    concurrency=9,
    leads=frozenset({"workflows", "gala"}),
)
LOCAL = Candidate(
    "local", entities=frozenset({"the_7_space"}), accepts=("new_lead", "lead.*"), concurrency=4
)
ZEVI = Candidate("zevi", accepts=("segment.made",), concurrency=4)
ALL = [NYRA2, SOLARI2, GRACE, ZEVI]
TABLE = Table(patterns={"lead_to_booking": "nyra"})


def of(type_: str, **more: Any) -> Need:
    return Need(type=type_, **{"entity": "am_consulting", **more})


@pytest.mark.parametrize(
    ("need", "candidates", "way", "agent"),
    [
        (of("new_lead", pattern="lead_to_booking", owner="grace"), ALL, "pattern", "nyra"),
        (of("new_lead", pattern="gala"), ALL, "pattern", "grace"),
        (of("new_lead", pattern="no_such", owner="grace"), ALL, "continuation", "grace"),
        (of("new_lead", owner="zevi"), ALL, "event", "nyra"),  # the owner does not accept it
        (of("workflow.step.done"), ALL, "workflow", "grace"),
        (of("new_lead", entity="the_7_space"), [*ALL, LOCAL], "entity", "local"),
        (of("new_lead"), [*ALL, LOCAL], "event", "nyra"),
        (of("new_booking", selector=Selector(capability="booking")), ALL, "required", "solari"),
        (of("lead.captured"), ALL, "prefix", "nyra"),
        (of("lead.scored"), ALL, "prefix", "solari"),  # the longer beginning
        (of("order.paid"), ALL, "accepts", "solari"),
        (of("anything_goes"), ALL, "accepts", "grace"),  # equal scores go by name
        (of("segment.made"), ALL, "accepts", "zevi"),
    ],
)
def test_the_first_way_that_leads_to_an_agent_decides(
    need: Need, candidates: list[Candidate], way: str, agent: str
) -> None:
    routing = route(need, candidates, table=TABLE)
    assert (routing.way, routing.agent) == (way, agent)
    assert {each.agent for each in routing.scores} == {each.name for each in candidates}
    tried = [each.way for each in routing.passed]
    assert tried == sorted(tried, key=WAYS.index)
    assert all(WAYS.index(each) < WAYS.index(way) for each in tried)


def test_a_way_that_led_nowhere_says_why() -> None:
    routing = route(of("new_lead", pattern="lead_to_bokking", owner="zevi"), ALL, table=TABLE)
    assert [(each.way, each.why) for each in routing.passed] == [
        ("pattern", "no agent leads a pattern 'lead_to_bokking'; did you mean 'lead_to_booking'?"),
        ("continuation", "zevi does not accept new_lead"),
    ]


def test_without_any_way_the_reasons_are_the_answer() -> None:
    routing = route(of("segment.lost"), ALL, table=TABLE)
    assert (routing.agent, routing.way) == (None, "nobody")
    assert routing.reason == (
        "no agent was found for segment.lost: "
        "accepts: no agent that may have it has declared to accept segment.lost; "
        "model: no language model is installed that routes, so none was asked"
    )


def test_an_agent_of_another_business_gets_nothing_whatever_it_accepts() -> None:
    assert route(of("lead.captured"), [LOCAL]).agent is None
    assert route(of("lead.captured", entity=None), [LOCAL]).agent is None


@pytest.mark.parametrize(
    ("suggestion", "agent", "said"),
    [
        (Suggestion("zevi", "segment.made", "a segment"), "zevi", "the model chose it: a segment"),
        (Suggestion("zevi"), None, "the model chose zevi, which does not accept segment.lost"),
        (Suggestion("nobody"), None, "the model chose nobody, and there is no such agent"),
        (Suggestion("local", "new_lead"), None, "which does not serve am_consulting"),
    ],
)
def test_what_a_model_suggests_is_checked_like_all_else(
    suggestion: Suggestion, agent: str | None, said: str
) -> None:
    routing = route(of("segment.lost"), [*ALL, LOCAL], table=replace(TABLE, router=suggestion))
    assert (routing.agent, routing.way) == (agent, "model" if agent else "nobody")
    assert said in routing.reason
    assert routing.type == (suggestion.type if agent else None)


def test_a_model_is_not_followed_where_anything_else_decides() -> None:
    table = replace(TABLE, router=Suggestion("zevi", "segment.made"))
    assert route(of("new_lead"), ALL, table=table).agent == "nyra"


# --- Work that can wait.


def test_work_that_waits_goes_to_who_is_there_and_else_to_who_will_be() -> None:
    need = Need(Selector(capability="email"), "the_7_space", waits=True)
    away = replace(NYRA, away="no worker runs it", done=90)
    busy = replace(SOLARI, running=4, failed=90)
    assert route(need, [away, busy]).agent == "solari"
    assert route(need, [away]).agent == "nyra"
    assert route(replace(need, waits=False), [away, busy]).agent is None


# --- Fallbacks.


@pytest.mark.parametrize(
    ("capability", "failed", "agent"),
    [
        ("lead_enrichment", ("nyra",), "solari"),
        ("lead_enrichment", ("nyra", "solari"), None),  # zevi has not the capability
        (None, ("nyra",), "zevi"),
        ("lead_enrichment", ("solari",), None),  # it has declared none
    ],
)
def test_only_who_was_declared_as_a_fallback_takes_over(
    capability: str | None, failed: tuple[str, ...], agent: str | None
) -> None:
    zevi = replace(ZEVI, accepts=("lead.>",))
    need = of("lead.enrich", selector=Selector(capability=capability), failed=failed)
    routing = route(need, [NYRA2, SOLARI2, zevi, GRACE], rules=[Rule("grace")], table=TABLE)
    assert (routing.agent, routing.way) == (agent, "fallback" if agent else "nobody")
    if agent is None:
        assert "fallback" in routing.reason or "zevi has not the capability" in routing.reason


@given(need=needs, agents=candidates, type_=st.sampled_from(["a.b", "email.sent"]))
def test_no_way_leads_to_an_agent_that_may_not_have_it(
    need: Need, agents: list[Candidate], type_: str
) -> None:
    asked = replace(need, type=type_, owner="nyra", waits=True)
    accepting = [replace(each, accepts=("email.*",), prefixes=("email",)) for each in agents]
    routing = route(asked, accepting, table=Table(patterns={"p": "elan", "workflows": "liora"}))
    assert routing.agent is None or type_ == "email.sent"
    scores = {each.agent: each.score for each in routing.scores}
    assert routing.agent is None or scores[routing.agent] is not None
