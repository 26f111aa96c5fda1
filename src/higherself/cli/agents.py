"""Commands on agents: who there is, work for them, and what they ask of people."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from higherself.cli.output import as_json, asynchronous, facts, plain, print_json, say, table, words
from higherself.cli.workflow_instances import json_object
from higherself.cli.workflow_sources import opened
from higherself.kernel.errors import Rejected

if TYPE_CHECKING:
    from higherself.agents.model import Escalation, Known
    from higherself.agents.routings import Decision

STATUSES = click.Choice(["open", "in_progress", "resolved", "closed"])

of_business = click.option("--entity", type=words, help="Only of this business. Default: all.")
at_most = click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)


@click.group()
def agents() -> None:
    """See which agents there are, give them work, answer what they ask.

    The agents of the business come with the program; YAML files in the folder `agents` of
    HIGHERSELF_EXTENSIONS change them, and Python files or packages add others. They run in every
    `higherself worker`, and in `higherself serve`.
    """


@agents.command("list", epilog="Example: higherself agents list --json")
@as_json
@asynchronous
async def list_(*, as_json: bool) -> None:
    """Show the agents, where they run, and how they did in the last hour."""
    async with opened() as hs:
        known = await hs.agents.list()
    if as_json:
        print_json({"agents": [_described(each) for each in known]})
        return
    table(
        [
            "agent",
            "role",
            "voice",
            "accepts",
            "workers",
            "running",
            "done",
            "failed",
            "mean s",
            "state",
        ],
        [
            (
                each.card.name,
                each.card.role,
                each.card.voice,
                f"{len(each.card.accepts)} types",
                len(each.ready),
                sum(p.running for p in each.present),
                each.done,
                each.failed,
                None if each.seconds is None else f"{each.seconds:.2f}",
                each.away or "ready",
            )
            for each in known
        ],
    )
    if not known:
        click.echo("no agents; put one into a folder of HIGHERSELF_EXTENSIONS", err=True)


@agents.command(epilog="Example: higherself agents show nyra")
@click.argument("name", type=words, metavar="AGENT")
@at_most
@as_json
@asynchronous
async def show(*, name: str, limit: int, as_json: bool) -> None:
    """Show an agent: its card, where it runs, and what was routed to it lately, and why."""
    async with opened() as hs:
        known = await hs.agents.show(name)
        decisions = await hs.agents.routings(agent=name, limit=limit)
        told = _told(hs.agents.registry, name)
    described = _described(known)
    if as_json:
        print_json({**described, **told, "routings": [_decided(each) for each in decisions]})
        return
    card: dict[str, Any] = described.pop("card")
    does = told.pop("does", [])
    shown = {**card, "fallbacks": _fallbacks(card, told), **told}
    facts({**{key: value for key, value in shown.items() if value}, **described})
    if does:
        rows = [(each["type"], each["capability"], each["about"]) for each in does]
        table(["accepts", "as", "what it does"], rows)
    if decisions:
        _show_decisions(decisions)


@agents.command(epilog="Example: higherself agents routings --entity the_7_space --json")
@of_business
@at_most
@as_json
@asynchronous
async def routings(*, entity: str | None, limit: int, as_json: bool) -> None:
    """Show where work went lately, and why. Decisions are kept for a week."""
    async with opened() as hs:
        decisions = await hs.agents.routings(entity=entity, limit=limit)
    if as_json:
        print_json({"routings": [_decided(each) for each in decisions]})
    else:
        _show_decisions(decisions)


@agents.command(
    epilog="""Example: higherself agents send lead.captured --data '{"email": "a@b.c"}' --wait 10"""
)
@click.argument("type_", type=words, metavar="TYPE")
@click.option("--data", type=words, help="JSON object, or @FILE.")
@click.option(
    "--to",
    type=words,
    help="agent:NAME, capability:NAME or role:NAME. Default: whichever it is for, by its type.",
)
@click.option("--entity", type=words, default="default", show_default=True, help="The business.")
@click.option("--key", type=words, help="The same key counts once.")
@click.option(
    "--wait",
    type=click.FloatRange(min=0, min_open=True),
    help="Wait so many seconds for the answer, and print it.",
)
@as_json
@asynchronous
async def send(
    *,
    type_: str,
    data: str | None,
    to: str | None,
    entity: str,
    key: str | None,
    wait: float | None,
    as_json: bool,
) -> None:
    """Send work to an agent, as the operator."""
    given = json_object("--data", data)
    if key is not None and wait is not None:
        raise Rejected("--key and --wait do not go together: an answer comes to one who asks once")
    more: dict[str, Any] = {"entity": entity} if to is None else {"entity": entity, "to": to}
    async with opened() as hs:
        if wait is not None:
            timeout = timedelta(seconds=wait)
            reply = await hs.agents.ask(type_, given, timeout=timeout, **more)
            told = {"id": str(reply.envelope.id), "from": reply.envelope.source, "data": reply.data}
            print_json(told if as_json else reply.data)
            return
        receipt = await hs.agents.send(type_, given, key=key, **more)
    if as_json:
        print_json({"id": receipt.id, "agent": receipt.agent, "is_new": receipt.is_new})
        return
    click.echo(str(receipt.id))
    if receipt.agent is not None:
        say(f"goes to {plain(receipt.agent)}")
    if not receipt.is_new:
        say("it was there already, with this key")


@agents.command(
    epilog="""Example: higherself agents ask lead_capture --data '{"email": "a@b.c"}' --entity the_7_space"""
)
@click.argument("type_", type=words, metavar="TYPE")
@click.option("--data", type=words, help="JSON object, or @FILE.")
@click.option("--pattern", type=words, help="A sequence of several agents: lead_to_booking, ...")
@click.option("--entity", type=words, default="default", show_default=True, help="The business.")
@click.option(
    "--wait",
    type=click.FloatRange(min=0, min_open=True),
    default=30.0,
    show_default=True,
    help="Seconds.",
)
@asynchronous
async def ask(
    *, type_: str, data: str | None, pattern: str | None, entity: str, wait: float
) -> None:
    """Have the network see to something, and print who made what of it, as JSON.

    It goes to whoever it is for, by its type; if that begins a sequence, its end is waited for.
    """
    given = json_object("--data", data)
    async with opened() as hs:
        timeout = timedelta(seconds=wait)
        told = await hs.agents.run(type_, given, pattern=pattern, timeout=timeout, entity=entity)
    print_json(told)


@agents.command(epilog="Example: higherself agents escalations --status open")
@click.argument("ticket", type=words, required=False)
@click.option("--status", type=STATUSES, help="Only those that are so.")
@click.option("--take", "assignee", type=words, metavar="WHO", help="Note that WHO sees to TICKET.")
@of_business
@at_most
@as_json
@asynchronous
async def escalations(
    *,
    ticket: str | None,
    status: Any,
    assignee: str | None,
    entity: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """Show what agents ask of people, or all of one TICKET: what is due first comes first."""
    if assignee is not None and ticket is None:
        raise Rejected("--take needs a ticket: higherself agents escalations ESC-... --take WHO")
    async with opened() as hs:
        if ticket is not None:
            wanted = ticket.upper()
            one = (
                await hs.agents.escalations.show(wanted)
                if assignee is None
                else await hs.agents.escalations.take(wanted, assignee)
            )
            _show_ticket(one, as_json=as_json)
            return
        found = await hs.agents.escalations.list(
            statuses=None if status is None else [status], entity=entity, limit=limit
        )
    if as_json:
        print_json({"escalations": [each.to_json() for each in found]})
        return
    table(
        ["ticket", "severity", "status", "agent", "assignee", "due", "reason"],
        [
            (e.ticket, e.severity, e.status, e.agent, e.assignee,
             f"{e.due_at:%Y-%m-%d %H:%M}", e.reason)
            for e in found
        ],
    )  # fmt: skip


@agents.command(epilog="Example: higherself agents answer ESC-4KQ7M2XA 'Refund half of it'")
@click.argument("ticket", type=words)
@click.argument("text", type=words, required=False, metavar="ANSWER")
@click.option("--data", type=words, help="JSON object, or @FILE, in place of ANSWER.")
@click.option("--as", "by", type=words, default="local", show_default=True, help="Who answers.")
@click.option("--close", is_flag=True, help="Give the ticket up; ANSWER says why.")
@as_json
@asynchronous
async def answer(
    *, ticket: str, text: str | None, data: str | None, by: str, close: bool, as_json: bool
) -> None:
    """Answer an escalation: the agent that has the conversation goes on with it."""
    from higherself.messaging.protocol import Identity

    if not close and (text is None) == (data is None):
        raise Rejected("give either an ANSWER or --data")
    person = Identity("operator", by)
    async with opened() as hs:
        if close:
            done = await hs.agents.escalations.close(ticket.upper(), by=person, reason=text or "")
        else:
            given = text if data is None else json_object("--data", data)
            done = await hs.agents.escalations.answer(ticket.upper(), given, by=person)
    _show_ticket(done, as_json=as_json)


def _described(known: "Known") -> dict[str, Any]:
    return {
        "card": known.card.to_json(),
        "state": known.away or "ready",
        "workers": [
            {
                "worker": each.worker,
                "phase": each.phase,
                "problem": each.problem,
                "running": each.running,
                "since": each.since,
            }
            for each in known.present
        ],
        "done": known.done,
        "failed": known.failed,
        "mean_seconds": known.seconds,
    }


def _told(registry: Any, name: str) -> dict[str, Any]:
    """Return what is known of an agent that is installed here, beside its card."""
    from higherself.business.behaviour.agent import DeclaredAgent

    installed = registry.get(name)
    if installed is None or not isinstance(installed.agent, DeclaredAgent):
        return {}
    return dict(installed.agent.told())


def _fallbacks(card: dict[str, Any], told: dict[str, Any]) -> str:
    """Return who takes over what it fails at; nobody does unless the business has said so."""
    could = ", ".join(told.pop("could_stand_in", ()))
    capabilities = told.pop("stand_in_for", ())
    if card.get("fallbacks"):
        return "; ".join(f"{each}: {', '.join(who)}" for each, who in card["fallbacks"].items())
    return (
        f"none; {could} could, if `fallbacks.capabilities` says for what"
        if could and not capabilities
        else ""
    )


def _decided(decision: "Decision") -> dict[str, Any]:
    return {
        "at": decision.at,
        "entity": decision.entity,
        "wanted": decision.wanted,
        "type": decision.type,
        "agent": decision.agent,
        "way": decision.way,
        "reason": decision.reason,
        **decision.considered,
    }


def _show_decisions(decisions: Any) -> None:
    table(
        ["at", "wanted", "type", "agent", "by", "reason"],
        [
            (f"{d.at:%Y-%m-%d %H:%M:%S}", d.wanted, d.type, d.agent, d.way, d.reason)
            for d in decisions
        ],
    )


def _show_ticket(found: "Escalation", *, as_json: bool) -> None:
    if as_json:
        print_json(found.to_json())
    else:
        facts({name: value for name, value in found.to_json().items() if value not in (None, [])})
