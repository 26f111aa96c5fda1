"""What is wrong with a definition is said with line, column, path, and what to write instead."""

import json

import pytest

from higherself.workflow.definition import load, load_text
from higherself.workflow.errors import InvalidDefinition

GOOD = """\
workflow: lead
version: 1
context: {score: 0}
initial: captured
deadline: 30d
on_deadline: {to: lost}
states:
  captured:
    agent: {capability: enrichment}
    activity:
      skill: enrich
      input: {email: "{{ context.email }}"}
      save: contact
      timeout: 30s
      retry: {attempts: 5, backoff: 2s, factor: 2, max: 5m, not_on: [Rejected]}
    transitions:
      - {to: review, when: context.score >= 70, set: {score: context.contact.score}}
      - {to: lost}
    on_error: {to: review}
  review:
    approval: {roles: [owner], timeout: 2d, approved: {to: both}, rejected: {to: lost}, expired: {to: lost}}
  both:
    parallel:
      join: 2
      branches:
        call: {initial: ring, states: {ring: {on: {answered: {to: over}}}, over: {final: true}}}
        mail: {activity: send}
    transitions: {to: team}
  team:
    collaborate: {pattern: chain, steps: [{role: editor, task: draft}]}
    on: {email.replied: {to: sub}}
    after: {3d: {to: lost}}
    cron: {"0 9 * * 1": {do: remind}}
  sub: {start: {workflow: booking, save: booking}, transitions: [{to: won}], max_visits: 3}
  won: {final: true}
  lost: {final: true}
"""

MISTAKES = [
    (
        "workflow: lead",
        "workflo: lead",
        [
            "1:1: the key 'workflow' is missing; for example `workflow: lead_nurturing`",
            "1:1: there is no key 'workflo' here; did you mean 'workflow'?",
        ],
    ),
    (
        "workflow: lead",
        "workflow: 7 leads",
        [
            "1:11: workflow: '7 leads' is no name here: use up to 100 letters, digits, - and _, beginning with a letter"
        ],
    ),
    (
        "version: 1",
        "version: one",
        ["2:10: version: this is to be a whole number, not the text 'one'"],
    ),
    (
        "version: 1",
        "version: 0",
        ["2:10: version: this is to be a number from 1 to 1,000,000, not 0"],
    ),
    ("context: {score: 0}", "context: [score]", ["3:10: context: this is to be an object"]),
    (
        "initial: captured",
        "initial: captird",
        ["4:10: initial: there is no state 'captird'; did you mean 'captured'?"],
    ),
    (
        "initial: captured\n",
        "",
        ["1:1: the key 'initial' is missing; for example `initial: captured`"],
    ),
    ("deadline: 30d", "deadline: 30", ["5:11: deadline: 30 has no unit; for seconds, write 30s"]),
    (
        "deadline: 30d",
        "deadline: 30 days",
        [
            "5:11: deadline: '30 days' is no duration; write a whole number and ms, s, m, h, d or w, for example 30s"
        ],
    ),
    (
        "deadline: 30d\n",
        "",
        ["1:1: `on_deadline` waits for a `deadline`, for example `deadline: 30d`"],
    ),
    (
        "on_deadline: {to: lost}",
        "on_deadline: {to: loost}",
        ["6:19: on_deadline.to: there is no state 'loost'; did you mean 'lost'?"],
    ),
    (
        "skill: enrich\n",
        "skil: enrich\n",
        [
            "11:7: states.captured.activity: the key 'skill' is missing; for example `skill: send_email`",
            "11:7: states.captured.activity: there is no key 'skil' here; did you mean 'skill'?",
        ],
    ),
    (
        "skill: enrich\n",
        "skill: [a]\n",
        ["11:14: states.captured.activity.skill: this is to be a text, not a list"],
    ),
    (
        "save: contact",
        "save: context.contact",
        [
            "13:13: states.captured.activity.save: 'context.contact' is a path in the context already; write contact"
        ],
    ),
    (
        "save: contact",
        "save: 1contact",
        [
            "13:13: states.captured.activity.save: '1contact' is no path in the context; write names with dots between them"
        ],
    ),
    (
        "timeout: 30s",
        "timeout: 30",
        ["14:16: states.captured.activity.timeout: 30 has no unit; for seconds, write 30s"],
    ),
    (
        "timeout: 30s",
        "timeout: soon",
        [
            "14:16: states.captured.activity.timeout: 'soon' is no duration; write a whole number and ms, s, m, h, d or w, for example 30s"
        ],
    ),
    (
        "attempts: 5",
        "attemps: 5",
        [
            "15:15: states.captured.activity.retry: there is no key 'attemps' here; did you mean 'attempts'?"
        ],
    ),
    (
        "attempts: 5",
        "attempts: 0",
        [
            "15:25: states.captured.activity.retry.attempts: this is to be a number from 1 to 1,000, not 0"
        ],
    ),
    (
        "factor: 2",
        "factor: fast",
        [
            "15:49: states.captured.activity.retry.factor: this is to be a number, not the text 'fast'"
        ],
    ),
    (
        "max: 5m",
        "max: 1s",
        [
            "15:14: states.captured.activity.retry: max is shorter than backoff; every wait would be max"
        ],
    ),
    (
        "{capability: enrichment}",
        "{capabilty: enrichment}",
        [
            "9:12: states.captured.agent: an agent selector says which agent: by name, role, capability or entity",
            "9:13: states.captured.agent: there is no key 'capabilty' here; did you mean 'capability'?",
        ],
    ),
    (
        "{capability: enrichment}",
        "{}",
        [
            "9:12: states.captured.agent: an agent selector says which agent: by name, role, capability or entity"
        ],
    ),
    (
        "to: review, when",
        "to: reviw, when",
        [
            "17:14: states.captured.transitions[0].to: there is no state 'reviw'; did you mean 'review'?"
        ],
    ),
    (
        "when: context.score >= 70",
        "when: contxt.score >= 70",
        [
            "17:28: states.captured.transitions[0].when: unknown field 'contxt'; did you mean 'context'?"
        ],
    ),
    (
        "when: context.score >= 70",
        "when: context.score >= 70 and",
        ["17:48: states.captured.transitions[0].when: a value is missing after and"],
    ),
    (
        "when: context.score >= 70",
        "when: 70",
        ["17:28: states.captured.transitions[0].when: this is to be a text, not the number 70"],
    ),
    (
        "set: {score: context.contact.score}",
        "set: {context.score: 1}",
        [
            "17:55: states.captured.transitions[0].set[\"context.score\"]: 'context.score' is a path in the context already; write score"
        ],
    ),
    (
        "set: {score: context.contact.score}",
        "set: {score: 1 +}",
        ["17:64: states.captured.transitions[0].set.score: a value is missing after +"],
    ),
    (
        '"{{ context.email }}"',
        '"{{ context.email"',
        ["12:23: states.captured.activity.input.email: this {{ is never closed"],
    ),
    (
        '"{{ context.email }}"',
        '"{{ contex.email }}"',
        [
            "12:26: states.captured.activity.input.email: unknown field 'contex'; did you mean 'context'?"
        ],
    ),
    (
        "- {to: lost}\n    on_error",
        "- {}\n    on_error",
        [
            "18:9: states.captured.transitions[1]: the key 'to' is missing: where does it go?; there is both, captured, lost, review, sub, team, won"
        ],
    ),
    (
        "on_error: {to: review}",
        "on_eror: {to: review}",
        ["19:5: states.captured: there is no key 'on_eror' here; did you mean 'on_error'?"],
    ),
    (
        "roles: [owner]",
        "roles: []",
        [
            "21:23: states.review.approval.roles: nobody could decide; name at least one role, for example [owner]"
        ],
    ),
    (
        "approved: {to: both}",
        "aproved: {to: both}",
        ["21:45: states.review.approval: there is no key 'aproved' here; did you mean 'approved'?"],
    ),
    (
        "join: 2",
        "join: 3",
        ["24:7: states.both.parallel: join waits for 3 branches, but there are 2; it is never met"],
    ),
    (
        "join: 2",
        "join: most",
        [
            "24:13: states.both.parallel.join: join is all, any, or how many branches have to end, for example 2"
        ],
    ),
    (
        "call: {initial: ring",
        "call: {initial: rang",
        [
            "26:25: states.both.parallel.branches.call.initial: there is no state 'rang'; did you mean 'ring'?"
        ],
    ),
    (
        "over: {final: true}}}",
        "over: {}}}",
        [
            "26:15: states.both.parallel.branches.call: a branch ends in a final state, and this one has none"
        ],
    ),
    (
        "mail: {activity: send}",
        "mail: {entry: send}",
        [
            "27:15: states.both.parallel.branches.mail: a branch has `initial` and `states`, or is one piece of work, an `activity` say"
        ],
    ),
    (
        "pattern: chain, ",
        "",
        [
            "30:18: states.team.collaborate: the key 'pattern' is missing; for example `pattern: chain`"
        ],
    ),
    (
        "steps: [{role: editor, task: draft}]",
        "steps: []",
        ["30:42: states.team.collaborate.steps: a collaboration has at least one step"],
    ),
    (
        "{role: editor, task: draft}",
        "{task: draft}",
        [
            "30:43: states.team.collaborate.steps[0]: a step says which agent: by name, role, capability or entity"
        ],
    ),
    (
        "{role: editor, task: draft}",
        "{role: editor}",
        [
            "30:43: states.team.collaborate.steps[0]: the key 'task' is missing; for example `task: draft`"
        ],
    ),
    (
        "on: {email.replied: {to: sub}}",
        "on: {email replied: {to: sub}}",
        [
            "31:10: states.team.on[\"email replied\"]: 'email replied' is no name of an event: use letters, digits and . _ - : /, for example email.replied"
        ],
    ),
    (
        "on: {email.replied: {to: sub}}",
        "on: {email.replied: {when: context.x}}",
        [
            '31:25: states.team.on["email.replied"]: a transition goes somewhere (`to`) or does something (`set`, `do`)'
        ],
    ),
    (
        "after: {3d:",
        "after: {3 days:",
        [
            "32:13: states.team.after[\"3 days\"]: '3 days' is no duration; write a whole number and ms, s, m, h, d or w, for example 30s"
        ],
    ),
    (
        "after: {3d: {to: lost}}",
        "after: {48h: {to: lost}, 2d: {to: won}}",
        ["32:30: states.team.after.2d: 2d is here already, in another unit; keep one of them"],
    ),
    (
        '"0 9 * * 1"',
        '"0 9 * *"',
        [
            '33:12: states.team.cron["0 9 * *"]: \'0 9 * *\' is no schedule; write minute, hour, day of month, month and day of week, for example "0 9 * * 1" for Mondays at nine'
        ],
    ),
    (
        '"0 9 * * 1"',
        '"0 25 * * 1"',
        ["33:12: states.team.cron[\"0 25 * * 1\"]: '0 25 * * 1' is no schedule: bad hour"],
    ),
    (
        '"0 9 * * 1"',
        '"0 0 30 2 *"',
        ["33:12: states.team.cron[\"0 0 30 2 *\"]: '0 0 30 2 *' is no schedule: bad day-of-month"],
    ),
    (
        "max_visits: 3",
        "max_visits: many",
        ["34:90: states.sub.max_visits: this is to be a whole number, not the text 'many'"],
    ),
    (
        "won: {final: true}",
        "won: {final: true, transitions: {to: lost}}",
        ["35:8: states.won: a final state is the end: it has no transitions"],
    ),
    (
        "won: {final: true}",
        "won: {final: yes}",
        ["35:16: states.won.final: this is to be true or false, not the text 'yes'"],
    ),
    (
        "won: {final: true}",
        "w on: {final: true}",
        [
            "34:71: states.sub.transitions[0].to: there is no state 'won'; did you mean 'w on'?",
            "35:3: states[\"w on\"]: 'w on' is no name here: use up to 100 letters, digits, - and _, beginning with a letter",
        ],
    ),
    (
        "    transitions: {to: team}",
        "    activity: call\n    transitions: {to: team}",
        [
            "23:5: states.both: a state does one thing, not activity and parallel; make it two states"
        ],
    ),
    (
        "  won: {final: true}",
        "  lost: {final: true}",
        ["36:3: the key 'lost' is on line 35 already; keep one of them"],
    ),
    (
        "  won: {final: true}",
        "  won: [final]",
        ["35:8: states.won: a state is an object with keys, not a list"],
    ),
    (
        "start: {workflow: booking",
        "start: {workflow: booking, version: x",
        ["34:45: states.sub.start.version: this is to be a whole number, not the text 'x'"],
    ),
    (
        "start: {workflow: booking, save: booking}",
        "on_timeout: {to: won}",
        ["34:8: states.sub: `on_timeout` waits for a `timeout`, of the state or of its activity"],
    ),
    (
        "start: {workflow: booking, save: booking}",
        "compensate: undo",
        ["34:8: states.sub: `compensate` undoes what the state did, but it does nothing"],
    ),
    (
        "timeout: 2d",
        "timeout: 2d, compensate: true",
        [
            "21:45: states.review.approval: there is no key 'compensate' here; there is approved, expired, question, rejected, roles, save, timeout"
        ],
    ),
    (
        "    on_error: {to: review}",
        "    on_error: {set: {a: 1}}",
        [
            "19:15: states.captured.on_error: the key 'to' is missing: where does it go?; there is both, captured, lost, review, sub, team, won"
        ],
    ),
    (
        "{do: remind}",
        "{compensate: true, do: remind}",
        [
            '33:25: states.team.cron["0 9 * * 1"]: `compensate` undoes what was done and leaves the state: say where `to`'
        ],
    ),
    (
        "version: 1\n",
        "version: 1\nschema: {type: strin}\n",
        [
            "3:9: schema: this is no JSON Schema at type: \"strin\" is not valid under any of the schemas listed in the 'anyOf' keyword"
        ],
    ),
    (
        "version: 1\n",
        "version: 1\nschema: {$ref: 'http://x'}\n",
        ["3:9: schema: $ref 'http://x' leads elsewhere; a schema stands by itself"],
    ),
    (
        "version: 1\n",
        "version: 1\ntimezone: Europe/Berlyn\n",
        [
            "3:11: timezone: 'Europe/Berlyn' is no time zone that is known here; did you mean 'Europe/Berlin'?"
        ],
    ),
    (
        "won: {final: true}",
        "won: {final: true",
        ["36:7: this is no YAML: while parsing a flow mapping did not find expected ',' or '}'"],
    ),
    (
        "version: 1\n",
        "version: 1\n---\n",
        ["3:1: a second document begins here; one text is one definition"],
    ),
    (
        "version: 1",
        "version: !!int 1",
        ["2:10: the tag tag:yaml.org,2002:int means nothing here; remove it"],
    ),
    (
        "version: 1",
        "version: 01",
        ["2:10: 01 has a leading zero; put it in quotes if it is a text"],
    ),
    ("version: 1", "version: .inf", ["2:10: .inf is no number that JSON has"]),
    ("version: 1", "version: *v", ["2:10: *v repeats nothing that has ended before it"]),
    (
        "context: {score: 0}",
        "context: {? [a] : 1}",
        ["3:13: a key is a text, neither a list nor an object nor an alias"],
    ),
]
"""What is replaced in `GOOD`, by what, and what is said: first lines, without the file's name."""


def said(text: str, file: str = "f.yaml") -> list[str]:
    with pytest.raises(InvalidDefinition) as caught:
        load_text(text, file=file)
    return [str(each).partition("\n")[0].removeprefix(f"{file}:") for each in caught.value.problems]


def test_without_a_mistake_nothing_is_said() -> None:
    assert load_text(GOOD, file="f.yaml").definition.name == "lead"


@pytest.mark.parametrize(("right", "wrong", "expected"), MISTAKES)
def test_a_mistake_is_named_where_it_is(right: str, wrong: str, expected: list[str]) -> None:
    assert right in GOOD
    assert said(GOOD.replace(right, wrong, 1)) == expected


def test_all_mistakes_are_named_at_once_from_top_to_bottom() -> None:
    text = GOOD
    for right, wrong in (("attempts", "attemps"), ("to: both", "to: bath"), ("30d", "soon")):
        text = text.replace(right, wrong, 1)
    assert [each.split(": ")[0] for each in said(text)] == ["5:11", "15:15", "21:60"]


def test_an_expression_is_shown_with_the_place_underlined() -> None:
    with pytest.raises(InvalidDefinition) as caught:
        load_text(GOOD.replace("context.score >= 70", "contxt.score >= 70"), file="f.yaml")
    assert str(caught.value).splitlines()[1:] == ["  contxt.score >= 70", "  ^^^^^^^^^^^^"]


def test_a_definition_in_json_has_places_too() -> None:
    text = json.dumps({"workflow": "lead", "version": 1, "initial": "a", "states": {"b": {"final": 1}}}, indent=1)  # fmt: skip
    assert said(text, "f.json") == [
        "4:13: initial: there is no state 'a'; there is b",
        "7:13: states.b.final: this is to be true or false, not the number 1",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "1:1: this is no JSON: expecting value"),
        ('{"a": 1,}', "1:9: this is no JSON: a key in double quotes is missing"),
        ('{"a": 1} 2', "1:10: this is no JSON: something follows its end"),
        ('{"a" 1}', "1:6: this is no JSON: a ':' is missing"),
        ('{"a": NaN}', "1:7: NaN is no number that JSON has"),
        ('{"a": 1, "a": 2}', "1:10: the key 'a' is on line 1 already; keep one of them"),
    ],
)
def test_json_that_is_none(text: str, expected: str) -> None:
    assert said(text, "f.json")[0] == expected


def test_a_definition_in_python_has_paths_and_no_places() -> None:
    with pytest.raises(InvalidDefinition) as caught:
        load({"workflow": "lead", "version": 1, "initial": "a", "states": {"a": {"finl": True}}})
    assert str(caught.value) == "states.a: there is no key 'finl' here; did you mean 'final'?"


@pytest.mark.parametrize("text", ["", "# nothing", "- a\n- b", "just text", "3", "null"], ids=repr)
def test_what_is_no_object_at_all(text: str) -> None:
    assert len(said(text)) == 1


def test_an_alias_that_grows_and_grows_is_stopped() -> None:
    levels = [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 9)]
    (problem,) = said("\n".join(["l0: &l0 [x]", *levels]))
    assert "there are more than 50,000 values" in problem


def test_a_definition_that_is_nested_too_deeply_is_stopped() -> None:
    (problem,) = said("a: " + "[" * 70 + "]" * 70)
    assert "this is nested more than 60 levels deep" in problem


def test_a_definition_that_is_too_long_is_not_even_read() -> None:
    (problem,) = said("a" * 1_000_001)
    assert "a definition has at most 1,000,000" in problem
