"""Commands on skills: what there is, what each takes, run one, what is kept of results, and export."""

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from higherself.cli.output import as_json, asynchronous, facts, plain, print_json, say, table, words

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from higherself.agents.skills import Skill, SkillRegistry
    from higherself.agents.skills.ports import Kept, Tally
    from higherself.app.wiring import HigherSelf

of_version = click.option("--version", type=words, help="Default: the newest.")


@click.group()
def skills() -> None:
    """See which skills there are, run one, and hand them to others.

    A skill is a typed function that workflows, agents and assistants run by its name.
    """


@skills.command("list", epilog="Example: higherself skills list --tag crm --json")
@click.option("--tag", "tags", multiple=True, type=words, help="Only those with it. Repeatable.")
@click.option(
    "--search", type=words, default="", help="Only those with this in name or description."
)
@click.option("--all", "every", is_flag=True, help="Every version, not only the newest.")
@as_json
def list_(*, tags: tuple[str, ...], search: str, every: bool, as_json: bool) -> None:
    """Show the skills that are installed here."""
    registry = _installed()
    found = registry.search(search, tags=tags)
    if every:
        found = [each for newest in found for each in registry.versions(newest.name)]
    if as_json:
        print_json({"skills": [_described(registry, each) for each in found]})
        return
    table(
        ["skill", "version", "effects", "tags", "description"],
        [(s.name, s.version, _effects(s), ", ".join(s.tags), _line(s.description)) for s in found],
    )


@skills.command(epilog="Example: higherself skills show score_lead --json")
@click.argument("name", type=words)
@of_version
@as_json
@asynchronous
async def show(*, name: str, version: str | None, as_json: bool) -> None:
    """Show everything about a skill (NAME, or NAME@VERSION): what it takes, returns, may do.

    With how often it ran in the last seven days, and how often its cache saved a run.
    """
    async with _opened() as hs:
        registry, records = hs.skills.skills, hs.hosted_skills.records
        found = registry.find(name, version)
        tallies = await records.counted(found.name)
        kept = await records.kept(found.name)
    of_it = [each for each in tallies if each.version == found.version]
    described = _described(registry, found) | {
        "versions": [each.version for each in registry.versions(found.name)],
        "last_days": _tallied(of_it[0]) if of_it else None,
        "kept": [_kept(each) for each in kept if each.version == found.version],
    }
    if as_json:
        print_json(described)
        return
    facts(described)


@skills.command(
    epilog="""Example: higherself skills run normalise_phone --input '{"text": "020 7946 0958", "country": "GB"}'"""
)
@click.argument("name", type=words)
@click.option("--input", "given", type=words, default="{}", help="JSON object, or @FILE.")
@of_version
@click.option("--entity", type=words, default="default", show_default=True, help="The business.")
@click.option("--as-agent", "agent", type=words, help="With the permissions of this agent.")
@click.option(
    "--key",
    type=words,
    help="What makes it once: the same key is the same run to whom the skill hands it on.",
)
@click.option("--no-cache", is_flag=True, help="Run it whatever is kept, and keep nothing.")
@as_json
@asynchronous
async def run(
    *,
    name: str,
    given: str,
    version: str | None,
    entity: str,
    agent: str | None,
    key: str | None,
    no_cache: bool,
    as_json: bool,
) -> None:
    """Run a skill (NAME, or NAME@VERSION) and print what it returns.

    You may run each; with --as-agent, those that the agent may, in no state of a workflow.
    """
    from higherself.agents.skills import SkillCall
    from higherself.cli.workflow_instances import json_object
    from higherself.kernel.clock import SYSTEM_CLOCK
    from higherself.kernel.ids import checked_entity, new_id

    read = json_object("--input", given)
    identifier = new_id(SYSTEM_CLOCK.now()).hex
    call = SkillCall(
        key=key or f"cli {identifier}",
        entity=checked_entity(entity),
        agent=agent,
        operator=agent is None,
        correlation=identifier,
    )
    began = SYSTEM_CLOCK.monotonic()
    async with _opened() as hs:
        found = hs.skills.skills.find(name, version)
        if agent is not None and hs.skills.card_of(agent) is None:
            say(
                plain(
                    f"no agent {agent} is installed here; only what the skill says of agents counts"
                )
            )
        result = await hs.skills.explained(found.full_name, read, call, cached=not no_cache)
        tallies = hs.skills.tallies()
        hs.skills.count_again(tallies)
    if not as_json:
        from higherself.kernel.jsonvalue import shown

        click.echo(plain(result) if isinstance(result, str) else shown(result))
        return
    print_json(
        {
            "skill": found.name,
            "version": found.version,
            "entity": entity,
            "key": call.key,
            "result": result,
            "cached": any(each.hits for each in tallies if each.skill == found.name),
            "milliseconds": round((SYSTEM_CLOCK.monotonic() - began) * 1000, 1),
        }
    )


@skills.command(epilog="Example: higherself skills cache score_lead --clear")
@click.argument("name", type=words, required=False)
@click.option("--entity", type=words, help="Only this business. Default: all.")
@click.option("--clear", is_flag=True, help="Forget what is kept, also in running processes.")
@as_json
@asynchronous
async def cache(*, name: str | None, entity: str | None, clear: bool, as_json: bool) -> None:
    """Show what is kept of results that all processes share, and how often that saved a run.

    With --clear, forget it (of the skill NAME alone, if given); what processes keep in their own
    memory is gone a few seconds later.
    """
    async with _opened() as hs:
        records = hs.hosted_skills.records
        if name is not None:
            name = hs.skills.skills.find(name).name
        cleared = await records.clear(name, entity=entity) if clear else None
        kept = await records.kept(name, entity=entity)
        tallies = await records.counted(name)
    if as_json:
        print_json(
            {
                "cleared": cleared,
                "results": [_kept(each) for each in kept],
                "last_days": [_tallied(each) for each in tallies],
            }
        )
        return
    if cleared is not None:
        say(f"{cleared} {'result' if cleared == 1 else 'results'} forgotten")
    table(
        ["skill", "version", "business", "results", "bytes", "last expires"],
        [(k.skill, k.version, k.entity, k.results, k.bytes, _time(k)) for k in kept],
    )
    if hits := [each for each in tallies if each.hits]:
        say("saved in the last seven days: " + ", ".join(_saved(each) for each in hits))


@skills.command(epilog="Example: higherself skills export ./agent-skills score_lead compose_email")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.argument("names", nargs=-1, type=words)
@as_json
def export(*, folder: Path, names: tuple[str, ...], as_json: bool) -> None:
    """Write skills (NAMES, or all) as Agent Skills: a folder with a SKILL.md for each, in FOLDER.

    Other programs find there what a skill is for, its schemas, and how to run it.
    """
    from higherself.agents.skills.packaging import export as write

    registry = _installed()
    chosen: Sequence[Skill] = [registry.find(name) for name in names] or registry.search()
    written = write([each for each in chosen if each.instructions is None], folder)
    if as_json:
        print_json({"folders": written})
        return
    for each in written:
        click.echo(plain(str(each)))


@skills.command(epilog="Example: higherself skills validate ./agent-skills/score-lead")
@click.argument(
    "folders",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
)
@as_json
def validate(*, folders: tuple[Path, ...], as_json: bool) -> None:
    """Check that FOLDERS are Agent Skills, or hold nothing but such; else end as for rejected input."""
    from higherself.kernel.check import Check
    from higherself.kernel.errors import Rejected

    checks: list[Check] = []
    for folder in folders:
        places = [folder] if (folder / "SKILL.md").exists() else _inner(folder)
        checks += [_checked(each) for each in places]
    if as_json:
        packages = [{"folder": c.name, "ok": c.ok, "problem": c.fix or None} for c in checks]
        print_json({"ok": all(check.ok for check in checks), "packages": packages})
    else:
        for check in checks:
            click.echo(plain(f"{'ok' if check.ok else 'NO'}  {check.name}{check.detail}"))
    if not all(check.ok for check in checks):
        raise click.exceptions.Exit(Rejected.exit_code)


def _inner(folder: Path) -> "list[Path]":
    return sorted(each for each in folder.iterdir() if each.is_dir()) or [folder]


def _checked(folder: Path) -> Any:
    from higherself.agents.skills.errors import PackageMistaken
    from higherself.agents.skills.packaging import read_package
    from higherself.kernel.check import Check

    try:
        read = read_package(folder)
    except PackageMistaken as mistaken:
        return Check(str(folder), False, f": {mistaken}", str(mistaken))
    return Check(str(folder), True, f": {len(read.description)} characters of description")


def _installed() -> "SkillRegistry":
    from higherself.app.extensions import load_extensions
    from higherself.app.settings import load_settings

    return load_extensions(load_settings()[0].extensions).skills


@asynccontextmanager
async def _opened() -> "AsyncIterator[HigherSelf]":
    from higherself.app.wiring import HigherSelf

    async with HigherSelf.open(report=say, workflows=False) as hs:
        yield hs


def _described(registry: "SkillRegistry", skill: "Skill") -> dict[str, Any]:
    return skill.described() | {"origin": registry.origin(skill.name, skill.version)}


def _effects(skill: "Skill") -> str:
    flags = {
        "idempotent": skill.idempotent and skill.effects in ("write", "external"),
        "irreversible": skill.irreversible,
        "egress": skill.egress and skill.effects != "external",
        "cached": skill.cache is not None,
    }
    return ", ".join([skill.effects, *(name for name, on in flags.items() if on)])


def _line(text: str) -> str:
    return text.partition("\n")[0]


def _tallied(tally: "Tally") -> dict[str, Any]:
    rate = tally.hit_rate
    return {
        "skill": tally.skill,
        "version": tally.version,
        "runs": tally.runs,
        "failures": tally.failures,
        "hits": tally.hits,
        "hit_rate": None if rate is None else round(rate, 4),
        "mean_milliseconds": round(tally.seconds / tally.runs * 1000, 3) if tally.runs else None,
    }


def _kept(kept: "Kept") -> dict[str, Any]:
    return {
        "skill": kept.skill,
        "version": kept.version,
        "entity": kept.entity,
        "results": kept.results,
        "bytes": kept.bytes,
        "expires_at": kept.expires_at,
    }


def _time(kept: "Kept") -> str:
    return f"{kept.expires_at:%Y-%m-%d %H:%M:%S}"


def _saved(tally: "Tally") -> str:
    return f"{tally.skill} {tally.hits} of {tally.hits + tally.runs} ({tally.hit_rate:.1%})"
