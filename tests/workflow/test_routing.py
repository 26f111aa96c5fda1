"""Routing: rules first, then scores; the same question has the same answer, with reasons."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from higherself.workflow.definition import AgentSelector
from higherself.workflow.routing import Candidate, Need, Rule, route

NYRA = Candidate("nyra", "lead_capture", frozenset({"lead_enrichment", "email"}), concurrency=4)
SOLARI = Candidate("solari", "booking_manager", frozenset({"booking", "email"}), concurrency=4)
ENRICH = Need(AgentSelector(capability="lead_enrichment"), entity="the_7_space", task="enrich")
EMAIL = Need(AgentSelector(capability="email"), entity="the_7_space", task="send_email")


@pytest.mark.parametrize(
    ("selector", "agent"),
    [
        (AgentSelector(capability="booking"), "solari"),
        (AgentSelector(role="lead_capture"), "nyra"),
        (AgentSelector(name="solari"), "solari"),
        (AgentSelector(role="booking_manager", capability="email"), "solari"),
        (AgentSelector(role="booking_manager", capability="lead_enrichment"), None),
    ],
)
def test_every_key_of_the_selector_has_to_fit(selector: AgentSelector, agent: str | None) -> None:
    assert route(Need(selector, "the_7_space"), [NYRA, SOLARI]).agent == agent


def test_an_agent_without_businesses_serves_all_of_them_and_others_only_theirs() -> None:
    ours = replace(NYRA, name="ours", entities=frozenset({"the_7_space"}))
    theirs = replace(NYRA, name="theirs", entities=frozenset({"am_consulting"}))
    assert route(ENRICH, [theirs]).agent is None
    assert route(ENRICH, [NYRA, theirs]).agent == "nyra"
    assert route(ENRICH, [NYRA, ours]).agent == "ours"
    selected = Need(AgentSelector(capability="email", entity="am_consulting"), "the_7_space")
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
    need = Need(AgentSelector(capability="lead_enrichmnt"), "the_7_space")
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
    assert route(Need(AgentSelector(name="nyro"), "x"), [NYRA]).reason == "no agent named nyro; did you mean 'nyra'?"  # fmt: skip
    assert route(Need(AgentSelector(role="lead_captur"), "x"), [NYRA]).reason == "no agent with role lead_captur; did you mean 'lead_capture'?"  # fmt: skip


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
        AgentSelector,
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
