"""Set-ups: a workflow as one business has it, with settings of its own over the definition's.

A template is a definition that has settings: `context.settings` are the defaults, and what its schema
says of them says what may be set, and what has to be. A business sets it up by a command, a file, or
on the definition's page in Notion; an instance that starts for it begins with its settings.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from higherself.db.entities import remember_entity
from higherself.db.pool import Database, Row
from higherself.db.queryfile import read_queries
from higherself.kernel.clock import Clock
from higherself.kernel.errors import NotFound, Rejected
from higherself.kernel.ids import checked_entity
from higherself.kernel.jsonvalue import JsonObject, JsonValue, check_json
from higherself.kernel.nearest import did_you_mean
from higherself.kernel.schema import JsonSchema
from higherself.messaging.statements import encoded
from higherself.workflow.definition import WorkflowDefinition
from higherself.workflow.engine.engine import Engine
from higherself.workflow.engine.errors import WorkflowNotFound

QUERIES = read_queries("higherself.services", "setups.sql")

SETTINGS = "settings"
"""The key of a context under which a template has what can be set."""


class SettingsRejected(Rejected):
    """Settings are not as the definition wants them; ``problems`` has a text for each."""

    def __init__(self, workflow: str, entity: str, problems: Sequence[str]) -> None:
        said = "; ".join(problems)
        super().__init__(f"{workflow} cannot be set up for {entity}: {said}")
        self.workflow, self.entity, self.problems = workflow, entity, tuple(problems)


class NotATemplate(Rejected):
    """A workflow has nothing that could be set."""

    def __init__(self, workflow: str) -> None:
        super().__init__(
            f"{workflow} has no settings: it is used as it is; a definition has some if its context "
            "has `settings`"
        )


class NotSetUp(NotFound):
    """A business has not set up a workflow."""

    def __init__(self, workflow: str, entity: str) -> None:
        super().__init__(
            f"{entity} has not set up {workflow}; `higherself templates setup {workflow} --entity "
            f"{entity}` does"
        )


# --- What a definition says. Pure.


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing that can be set. ``required``: a business has to set it, for there is no default."""

    name: str
    title: str
    about: str
    type: str
    required: bool
    default: JsonValue = None

    def to_json(self) -> JsonObject:
        """Return it as the edges show it."""
        return {
            "name": self.name,
            "title": self.title,
            "about": self.about,
            "type": self.type,
            "required": self.required,
            "default": self.default,
        }


def is_template(definition: WorkflowDefinition) -> bool:
    """Return whether a definition has something that can be set."""
    return SETTINGS in definition.context or bool(_schema_of(definition))


def settings_of(definition: WorkflowDefinition) -> tuple[Setting, ...]:
    """Return what can be set of a template, in the order of its schema."""
    schema, defaults = _schema_of(definition), _defaults(definition)
    described = schema.get("properties", {})
    required = schema.get("required", ())
    names = [*(described if isinstance(described, Mapping) else ()), *defaults]
    found = []
    for name in dict.fromkeys(names):
        said = described.get(name, {}) if isinstance(described, Mapping) else {}
        given = said if isinstance(said, Mapping) else {}
        found.append(
            Setting(
                name,
                title=str(given.get("title", name.replace("_", " "))),
                about=str(given.get("description", "")),
                type=_type(given, defaults.get(name)),
                required=isinstance(required, Sequence)
                and name in required
                and name not in defaults,
                default=defaults.get(name),
            )
        )
    return tuple(found)


def effective(definition: WorkflowDefinition, settings: JsonObject) -> dict[str, JsonValue]:
    """Return the settings that an instance begins with: the defaults, and over them what is set."""
    return {**_defaults(definition), **settings}


def problems_of(definition: WorkflowDefinition, settings: JsonObject) -> list[str]:
    """Return everything that is wrong with settings, each with the name of the setting and the fix."""
    known = {each.name: each for each in settings_of(definition)}
    schema, merged = _schema_of(definition), effective(definition, settings)
    problems = [
        f"{name}: there is no such setting{did_you_mean(name, known)}"
        for name in settings
        if name not in known and not schema.get("additionalProperties")
    ]
    for name in schema.get("required", ()) or ():
        if merged.get(name) in (None, ""):
            what = known[name].about or known[name].title if name in known else ""
            problems.append(
                f"{name}: it has to be set" + (f" ({what})" if what else "") + f"; --set {name}=..."
            )
    if schema:
        relaxed = {**schema, "required": [], "additionalProperties": True}
        problems += [
            f"{each.place or 'settings'}: {each.message}"
            for each in JsonSchema.of(relaxed).misfits(merged)
        ]
    return problems


def _schema_of(definition: WorkflowDefinition) -> Mapping[str, Any]:
    if definition.schema is None:
        return {}
    found = definition.schema.properties.get(SETTINGS, {})
    return found if isinstance(found, Mapping) else {}


def _defaults(definition: WorkflowDefinition) -> dict[str, JsonValue]:
    found = definition.context.get(SETTINGS, {})
    return dict(found) if isinstance(found, Mapping) else {}


def _type(said: Mapping[str, Any], default: JsonValue) -> str:
    if "enum" in said:
        return " | ".join(map(str, said["enum"]))
    types = said.get("type")
    if types:
        return " | ".join([types] if isinstance(types, str) else [e for e in types if e != "null"])
    kinds = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array"}
    return kinds.get(type(default), "object" if isinstance(default, Mapping) else "any")


# --- What businesses have set up.


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """A workflow as a business has it. ``settings`` are those that differ from the definition's."""

    entity: str
    workflow: str
    settings: JsonObject
    enabled: bool
    set_by: str
    origin: str
    set_at: datetime

    def to_json(self) -> JsonObject:
        """Return it as the edges show it."""
        return {
            "entity": self.entity,
            "workflow": self.workflow,
            "settings": self.settings,
            "enabled": self.enabled,
            "set_by": self.set_by,
            "origin": self.origin,
            "set_at": self.set_at.isoformat(),
        }


@dataclass(frozen=True, slots=True)
class Template:
    """A definition that can be set up, what can be set, and by whom it is set up."""

    definition: WorkflowDefinition
    settings: tuple[Setting, ...]
    setups: tuple[Setup, ...] = field(default=())

    @property
    def name(self) -> str:
        """The workflow."""
        return self.definition.name


class Setups:
    """What businesses have set up. Safe for concurrent use."""

    def __init__(self, database: Database, engine: Engine, clock: Clock) -> None:
        self._database, self._engine, self._clock = database, engine, clock

    # --- Looking.

    async def templates(self) -> Sequence[Template]:
        """Return every workflow that can be set up, with who has."""
        setups = await self.all()
        found = []
        for name in sorted(await self._engine.workflows()):
            definition = (await self._engine.definition(name)).definition
            if is_template(definition):
                whose = tuple(each for each in setups if each.workflow == name)
                found.append(Template(definition, settings_of(definition), whose))
        return found

    async def template(self, workflow: str) -> Template:
        """Return one of them.

        Raises
            WorkflowNotFound: there is no such workflow.
            NotATemplate: it has nothing that could be set.
        """
        definition = await self._definition(workflow)
        return Template(
            definition, settings_of(definition), tuple(await self.all(workflow=workflow))
        )

    async def all(
        self, *, entity: str | None = None, workflow: str | None = None
    ) -> Sequence[Setup]:
        """Return set-ups, of one business or one workflow if it is named."""
        async with self._database.reading(entity=entity) as tx:
            rows = await tx.many(QUERIES["list_setups"], {"entity": entity, "workflow": workflow})
        return [_setup(row) for row in rows]

    async def get(self, entity: str, workflow: str) -> Setup | None:
        """Return how a business has a workflow, if it has set it up."""
        async with self._database.reading(entity=entity) as tx:
            row = await tx.maybe(QUERIES["find_setup"], {"entity": entity, "workflow": workflow})
        return None if row is None else _setup(row)

    # --- Setting up.

    async def set_up(
        self,
        entity: str,
        workflow: str,
        settings: JsonObject,
        *,
        by: str,
        origin: str = "cli",
        enabled: bool = True,
        keep: bool = True,
    ) -> Setup:
        """Set a workflow up for a business. With ``keep``, what was set before and is not given stays.

        A setting that is null goes back to the default.

        Raises
            WorkflowNotFound, NotATemplate: there is nothing to set up.
            SettingsRejected: naming every setting that is wrong, or has to be given and is not.
        """
        definition = await self._definition(workflow)
        checked_entity(entity)
        check_json(settings, SETTINGS)
        before = await self.get(entity, workflow) if keep else None
        chosen = {**(before.settings if before else {}), **settings}
        chosen = {name: value for name, value in chosen.items() if value is not None}
        if problems := problems_of(definition, chosen):
            raise SettingsRejected(workflow, entity, problems)
        return await self._save(entity, workflow, chosen, enabled=enabled, by=by, origin=origin)

    async def disable(
        self, entity: str, workflow: str, *, by: str, origin: str = "cli", enabled: bool = False
    ) -> Setup:
        """Have nothing start a workflow by itself for a business any more (or again: ``enabled``).

        What runs goes on. A workflow without settings, which every business has, is switched off too.

        Raises
            WorkflowNotFound: there is no such workflow.
            NotSetUp: it needs to be set up, and is not.
        """
        definition = (await self._engine.definition(workflow)).definition
        known = await self.get(entity, workflow)
        if known is None and problems_of(definition, {}):
            raise NotSetUp(workflow, entity)
        settings = known.settings if known else {}
        return await self._save(entity, workflow, settings, enabled=enabled, by=by, origin=origin)

    # --- At start.

    async def refusal(self, entity: str, workflow: str, *, needs_setup: bool = False) -> str | None:
        """Return why a trigger may not start ``workflow`` for a business; None if it may.

        It may if the business has set it up, or nothing of it has to be set (unless it ``needs_setup``),
        and it is not disabled.
        """
        known = await self.get(entity, workflow)
        if known is not None and not known.enabled:
            return f"{entity} has disabled {workflow}"
        if known is None and needs_setup:
            return f"{entity} has not set up {workflow}"
        try:
            definition = (await self._engine.definition(workflow)).definition
        except WorkflowNotFound as missing:
            return str(missing)
        if not is_template(definition):
            return None
        problems = problems_of(definition, known.settings if known else {})
        if not problems:
            return None
        if known is None:
            return f"{entity} has not set up {workflow}: {'; '.join(problems)}"
        return f"what {entity} has set of {workflow} does not fit any more: {'; '.join(problems)}"

    async def prepared(
        self, definition: WorkflowDefinition, entity: str, context: JsonObject
    ) -> JsonObject:
        """Return the context that an instance is to start with: with the settings of its business.

        What the context has of ``settings`` goes before what is set up.

        Raises
            SettingsRejected: a setting that has to be set is not, or one does not fit.
        """
        if not is_template(definition):
            return context
        known = await self.get(entity, definition.name)
        given = context.get(SETTINGS, {})
        own = given if isinstance(given, Mapping) else {}
        chosen = {**(known.settings if known else {}), **own}
        if problems := problems_of(definition, chosen):
            raise SettingsRejected(definition.name, entity, problems)
        return {**context, SETTINGS: effective(definition, chosen)}

    async def _definition(self, workflow: str) -> WorkflowDefinition:
        definition = (await self._engine.definition(workflow)).definition
        if not is_template(definition):
            raise NotATemplate(workflow)
        return definition

    async def _save(
        self,
        entity: str,
        workflow: str,
        settings: JsonObject,
        *,
        enabled: bool,
        by: str,
        origin: str,
    ) -> Setup:
        now = self._clock.now()
        async with self._database.transaction(entity=entity) as tx:
            await remember_entity(tx, entity, now)
            row = await tx.one(
                QUERIES["save_setup"],
                {
                    "entity": entity,
                    "workflow": workflow,
                    "settings": encoded(dict(settings)),
                    "enabled": enabled,
                    "by": by,
                    "origin": origin,
                    "now": now,
                },
            )
        return _setup(row)


def _setup(row: Row) -> Setup:
    return Setup(**row)
