"""The roster as it comes with the program, and what a business may lay over it."""

import fnmatch
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml

from higherself.agents.agent import AgentRegistry
from higherself.agents.model import Known
from higherself.agents.routing import Need, Selector, route
from higherself.app.extensions import load_extensions
from higherself.business import sequences
from higherself.business.behaviour.agent import DeclaredAgent
from higherself.business.behaviour.said import AgentsMistaken
from higherself.business.roster import load_roster
from higherself.kernel.clock import SYSTEM_CLOCK

ROSTER = load_roster()

TYPES: dict[str, list[str]] = {
    "nyra": ["new_lead", "typeform_webhook", "website_form", "lead_capture", "lead_enrichment",
             "contact_update", "generic_event_registration"],
    "solari": ["booking_created", "order_created", "new_booking", "booking_status_update",
               "payment_received", "appointment_reminder", "retreat_registration"],
    "ruvo": ["workflow_status_changed", "task_needed", "create_task", "update_task_status",
             "task_reminder", "task_assignment", "task_completion"],
    "elan": ["content_ready", "content_stage_change", "generate_content", "distribute_content",
             "content_draft", "content_review", "content_publish", "generate_content_ideas",
             "content_idea", "research_content_topic", "generate_content_draft",
             "process_transcription", "generate_video", "get_video_status"],
    "sage": ["community_event", "member_activity", "new_member", "member_engagement", "forum_post",
             "community_question", "member_milestone"],
    "zevi": ["audience_analysis", "segment_update", "customer_data_update", "analyze_audience",
             "segment_creation", "audience_insight", "customer_journey", "define_segment",
             "refresh_segment", "sync_segment_to_platform", "get_customer_segments"],
    "liora": ["campaign_trigger", "campaign_metrics", "email_campaign", "newsletter_metrics",
              "campaign_schedule", "marketing_content", "campaign_performance"],
    "atlas": ["rag_completion", "semantic_search", "crawl_and_index", "knowledge_request"],
    "grace": ["workflow_lead_capture_complete", "workflow_transition_request",
              "agent_status_update", "request_agent_content_creation"],
}  # fmt: skip
"""What Grace routes to whom, by the domain (A2.3)."""

PREFIXES = {
    "lead_x": "nyra", "contact_x": "nyra", "book_x": "solari", "order_x": "solari",
    "payment_x": "solari", "task_x": "ruvo", "content_x": "elan", "community_x": "sage",
    "member_x": "sage", "audience_x": "zevi", "segment_x": "zevi", "campaign_x": "liora",
    "email_x": "liora", "marketing_x": "liora",
}  # fmt: skip


def candidates(roster: Any = ROSTER) -> list[Any]:
    now = SYSTEM_CLOCK.now()
    return [Known(each.card, now).candidate() for each in roster.declared.values()]


@pytest.mark.parametrize(
    ("agent", "type_"), [(agent, type_) for agent, types in TYPES.items() for type_ in types]
)
def test_every_type_of_the_domain_goes_to_its_agent_and_is_handled(agent: str, type_: str) -> None:
    routing = route(Need(type=type_, entity="the_7_space", waits=True), candidates())
    assert routing.agent == agent, routing
    program = ROSTER[agent].programs[type_]
    assert program.steps
    assert program.answer is not None
    assert DeclaredAgent(ROSTER[agent]).handler_for(type_) is not None


@pytest.mark.parametrize(("type_", "agent"), PREFIXES.items())
def test_an_unknown_type_goes_by_its_beginning_if_the_agent_takes_it(
    type_: str, agent: str
) -> None:
    everybody = [
        each
        if each.name != agent
        else type(each)(**{**_fields(each), "accepts": (*each.accepts, type_)})
        for each in candidates()
    ]
    routing = route(Need(type=type_, entity="x", waits=True), everybody)
    assert (routing.agent, routing.way) == (agent, "prefix")
    assert route(Need(type=type_, entity="x", waits=True), candidates()).agent is None


def _fields(candidate: Any) -> dict[str, Any]:
    return {name: getattr(candidate, name) for name in candidate.__dataclass_fields__}


def test_events_of_workflows_are_graces_but_for_those_that_are_anothers_by_name() -> None:
    def to(type_: str) -> str | None:
        return route(Need(type=type_, entity="x", waits=True), candidates()).agent

    assert to("workflow.instance.failed") == "grace"
    assert to("workflow_booking_confirmed") == "grace"
    assert to("workflow_status_changed") == "ruvo"


@pytest.mark.parametrize("name", ["lead_to_booking", "content_lifecycle", "retreat_booking"])
def test_sequences_are_led_by_grace_and_go_to_agents_that_take_their_steps(name: str) -> None:
    sequence = sequences.sequence(name)
    need = Need(type=sequence.trigger, pattern=name, entity="x", waits=True)
    assert route(need, candidates()).agent == "grace"
    begins = [each for each in ROSTER.declared.values() if each.card.name != "grace"]
    assert not any(each.card.leads for each in begins)
    for step in sequence.steps:
        need = Need(Selector(role=step["role"]), type=str(step["task"]), waits=True)
        assert route(need, candidates()).agent is not None, step


def test_whoever_did_the_trigger_does_it_once() -> None:
    sequence = sequences.sequence("lead_to_booking")
    rest = sequences.plan(sequence, done="lead_capture")
    assert rest is not None
    assert [each["task"] for each in rest["steps"]] == [
        "lead_enrichment", "create_task", "campaign_trigger",
    ]  # fmt: skip
    assert sequences.plan(sequence, done="campaign_trigger") is None


def test_every_skill_of_a_card_that_a_step_uses_is_installed() -> None:
    installed = load_extensions([]).skills
    missing = {
        (each.card.name, name)
        for each in ROSTER.declared.values()
        for program in each.programs.values()
        for name in program.skills
        if name not in installed
    }
    assert not missing


def test_workflows_ask_agents_for_what_they_take_and_may_do() -> None:
    problems = []
    for file in sorted(files("higherself.business.workflows").iterdir(), key=lambda e: e.name):
        if not file.name.endswith(".yaml"):
            continue
        for path, what in _asked(yaml.safe_load(file.read_text("utf-8")), ()):
            problems += [f"{file.name} {path}: {said}" for said in _unfit(what)]
    assert not problems, "\n".join(problems)


def _asked(node: Any, path: tuple[Any, ...]) -> Any:
    if isinstance(node, dict):
        if isinstance(node.get("activity"), dict) and (
            node.get("agent") or node["activity"].get("agent")
        ):
            agent = node["activity"].get("agent") or node["agent"]
            yield path, {**agent, "skill": node["activity"].get("skill")}
        if isinstance(node.get("collaborate"), dict):
            for step in node["collaborate"].get("steps", []):
                yield path, step
        for key, each in node.items():
            yield from _asked(each, (*path, key))
    elif isinstance(node, list):
        for place, each in enumerate(node):
            yield from _asked(each, (*path, place))


def _unfit(what: dict[str, Any]) -> list[str]:
    selector = Selector(what.get("name"), what.get("role"), what.get("capability"))
    if not selector or any("{{" in str(each) for each in (selector.role, what.get("task"))):
        return []
    type_ = what.get("task")
    routing = route(Need(selector, type=type_, waits=True), candidates())
    if routing.agent is None:
        return [routing.reason]
    skill = what.get("skill")
    card = ROSTER[routing.agent].card
    if skill and not any(fnmatch.fnmatchcase(skill, each) for each in card.skills):
        return [f"{routing.agent} may not use {skill}"]
    return []


# --- What a business lays over it.


def over(text: str, *more: str) -> Any:
    return load_roster([(f"{n}.yaml", each) for n, each in enumerate((text, *more))])


def test_a_business_changes_what_it_names_and_nothing_else() -> None:
    changed = over("agent: nyra\nvoice: brisk\nhandles:\n  contact_update: null\n")
    assert changed["nyra"].card.voice == "brisk"
    assert "contact_update" not in changed["nyra"].card.accepts
    assert "new_lead" in changed["nyra"].card.accepts
    assert changed["nyra"].origin == "agents/nyra.yaml + 0.yaml"
    assert changed["solari"].card == ROSTER["solari"].card


def test_an_agent_can_be_taken_away_and_one_be_added() -> None:
    changed = over(
        "agent: liora\ndisabled: true\n",
        "agent: bookkeeper\nrole: bookkeeper\nhandles:\n  invoice_wanted:\n    answer: {ok: true}\n",
    )
    assert "liora" not in changed
    assert changed["bookkeeper"].card.accepts == ("invoice_wanted",)


def test_the_examples_are_agents_of_a_business() -> None:
    folder = Path(__file__).parents[2] / "examples" / "agents" / "agents"
    texts = [path.read_text("utf-8") for path in sorted(folder.glob("*.yaml"))]
    changed = over(*texts)
    need = Need(type="work_proposed", entity="the_7_space", waits=True)
    assert route(need, candidates(changed)).agent == "curator"
    assert changed["nyra_gallery"].card.entities == ("the_7_space",)
    page = (Path(__file__).parents[2] / "docs" / "howto" / "add-an-agent.md").read_text("utf-8")
    assert [each for each in texts if each.partition("\n")[2].rstrip() in page]


def test_a_variant_is_for_its_businesses_and_goes_before_the_general_one() -> None:
    changed = over(
        "agent: nyra_tcp\nlike: nyra\nentities: [the_connection_practice]\nvoice: calm\n"
    )
    need = Need(type="new_lead", entity="the_connection_practice", waits=True)
    assert route(need, candidates(changed)).agent == "nyra_tcp"
    assert (
        route(Need(type="new_lead", entity="am_consulting", waits=True), candidates(changed)).agent
        == "nyra"
    )


def test_nobody_stands_in_unless_the_business_says_for_what() -> None:
    assert not any(each.card.fallbacks for each in ROSTER.declared.values())
    assert ROSTER["nyra"].said.fallbacks.agents == ("solari", "zevi")
    changed = over("agent: nyra\nfallbacks: {capabilities: [lead_enrichment]}\n")
    failed = Need(
        Selector(capability="lead_enrichment"), type="lead_enrichment", failed=("nyra",), waits=True
    )
    assert route(failed, candidates(changed)).agent == "solari"
    assert "lead_enrichment" in changed["solari"].programs
    assert "new_lead" not in changed["solari"].programs
    wanted = Need(Selector(capability="lead_enrichment"), type="lead_enrichment", waits=True)
    assert route(wanted, candidates(changed)).agent == "nyra", (
        "who stands in does so after a failure"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("agent: nyrra\nvoice: x\n", r"0.yaml:1:1: agent: there is no agent 'nyrra' to change; did you mean 'nyra'"),
        ("agent: nyra\nvoize: x\n", r"0.yaml:2:1: voize: there is no key 'voize'; did you mean 'voice'"),
        ("agent: nyra\nskills: [save_contact]\n", r"uses the skill 'score_lead', which `skills` does not allow"),
        ("agent: nyra\nevents: [new_leed]\n", r"0.yaml:2:10: events.0: 'new_leed' is handled by nothing"),
        ("agent: nyra\nfallbacks: {capabilities: [cooking]}\n", r"'cooking' is not among `capabilities`"),
        ("agent: nyra\nfallbacks: {agents: [solari], capabilities: [crm_sync]}\n  x", r"this is no YAML"),
        ("agent: nyra\nfallbacks: {agents: [sol], capabilities: [crm_sync]}\n", r"there is no agent 'sol'"),
        ("agent: a\nlike: b\n", r"0.yaml:2:1: like: there is no agent 'b'"),
        ("agent: a\nlike: nyra\n", r"name them in `entities`"),
        ("agent: a\nhandles:\n  x: {steps: [{skil: y}]}\n", r"0.yaml:3:15: .*a step has one of search, skill"),
        ("agent: a\nhandles:\n  x: {steps: [{skill: '{{ data.x }}'}]}\n", r"no data may choose it"),
        ("agent: a\nskills: [y]\nhandles:\n  x: {steps: [{skill: y, inputs: {}}]}\n", r"did you mean 'input'"),
        ("agent: a\nhandles:\n  x: {answer: '{{ made.y }}'}\n", r"0.yaml:3:7: handles.x.answer: unknown field 'made.y'"),
        ("agent: a\nhandles:\n  x: {steps: [{ask: poem, with: {}}]}\n", r"there is no ask 'poem'"),
        ("agent: a\nhandles:\n  x: {steps: [{ask: answer, with: {}}]}\n", r"`answer` needs `question`"),
        ("agent: a\nhandles:\n  x: {steps: [{search: q, when: 'data.x >'}]}\n", r"handles.x.steps.0.when"),
        ("agent: Big\nhandles:\n  x: {answer: 1}\n", r"its name is not 1 to 42"),
        ("voice: x\n", r"the key `agent` is missing"),
        ("agent: a\nhandles:\n  New Lead: {answer: 1}\n", r"no type of messages"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place_and_a_fix(text: str, said: str) -> None:
    with pytest.raises(AgentsMistaken, match=said):
        over(text)


def test_an_agent_in_python_takes_the_place_of_a_declared_one() -> None:
    class OurNyra(DeclaredAgent):
        card, programs = ROSTER["nyra"].card, ROSTER["nyra"].programs

    registry = AgentRegistry()
    ours = OurNyra()
    registry.add(ours, origin="ours")
    registry.add(DeclaredAgent(ROSTER["nyra"]), origin="roster", yields=True)
    assert registry["nyra"].agent is ours
    other = AgentRegistry()
    other.add(DeclaredAgent(ROSTER["nyra"]), origin="roster", yields=True)
    other.add(ours, origin="ours")
    assert other["nyra"].agent is ours
