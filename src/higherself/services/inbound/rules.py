"""The transformations in force: ours, and those that businesses keep in Data Transformations."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from higherself.db.pool import Row
from higherself.inbound.errors import TransformationMistaken
from higherself.inbound.sources import SOURCES
from higherself.inbound.transformation import (
    Condition,
    Transformations,
    read_transformations,
)
from higherself.kernel import telemetry
from higherself.kernel.clock import Clock
from higherself.kernel.jsonvalue import JsonObject
from higherself.services.notion.records import Records
from higherself.workflow.guard import ExpressionFailed, InvalidExpression, compile_guard

DATABASE = "data_transformations"
ACTIVE = "Active"
FRESH_SECONDS = 10.0
"""For how long rows are not read again."""

MOST_ROWS = 500

_SYSTEMS = {
    "Typeform": "typeform",
    "WooCommerce": "woocommerce",
    "Amelia": "amelia",
    "Circle": "circle",
    "Website": "generic",
}


@dataclass(frozen=True, slots=True)
class Conditions:
    """Makes conditions. One that cannot be evaluated, as a field is missing, does not hold."""

    clock: Clock

    def __call__(self, text: str) -> Condition:
        """Return the condition that ``text`` says.

        Raises
            TransformationMistaken: it is none.
        """
        try:
            guard = compile_guard(text)
        except InvalidExpression as error:
            raise TransformationMistaken(f"when: {error}") from None

        def holds(scope: JsonObject) -> bool:
            try:
                return guard(scope, self.clock.now())
            except ExpressionFailed:
                return False

        return holds


@dataclass(frozen=True, slots=True)
class InForce:
    """What applies now. ``claimed`` are the places that businesses call theirs."""

    ours: Transformations
    of_business: Mapping[str, Transformations] = field(default_factory=dict)
    claimed: Mapping[str, str] = field(default_factory=dict)
    mistakes: tuple[str, ...] = ()

    def of(self, entity: str) -> Transformations:
        """Return the rules for a business: its own before ours."""
        own = self.of_business.get(entity)
        return self.ours if own is None else own.before(self.ours)


class Rules:
    """Reads the rules that businesses have, and keeps them for a moment. Safe for concurrent use."""

    def __init__(self, ours: Transformations, records: Records, clock: Clock) -> None:
        self._ours, self._records, self._clock = ours, records, clock
        self._reading = asyncio.Lock()
        self._kept: InForce | None = None
        self._read_at = 0.0

    async def in_force(self) -> InForce:
        """Return what applies now."""
        async with self._reading:
            now = self._clock.monotonic()
            if self._kept is None or now - self._read_at > FRESH_SECONDS:
                self._kept, self._read_at = await self._read(), now
            return self._kept

    def forget(self) -> None:
        """Read them anew when they are next asked for."""
        self._kept = None

    async def _read(self) -> InForce:
        rows = await self._records.of(DATABASE).find({"status": ACTIVE}, limit=MOST_ROWS)
        own: dict[str, Transformations] = {}
        claimed: dict[str, str] = {}
        mistakes: list[str] = []
        for row in sorted(rows, key=lambda row: str(row["created_at"])):
            try:
                rules, places = read_row(row, Conditions(self._clock))
            except TransformationMistaken as error:
                mistakes.append(str(error))
                telemetry.warning("webhooks.transformation.mistaken", reason=str(error))
                continue
            entity = str(row["entity"])
            own[entity] = rules.before(own[entity]) if entity in own else rules
            claimed |= dict.fromkeys(places, entity)
        claimed = {**await self._products(), **claimed}
        return InForce(self._ours, own, claimed, tuple(mistakes))

    async def _products(self) -> dict[str, str]:
        """Return what is a product or service of which business."""
        found: dict[str, str] = {}
        for system, kinds in _OF_PRODUCTS.items():
            where = {"integration_system": system}
            rows = await self._records.of("products_services").find(where, limit=5000)
            for row in rows:
                if row["external_id"]:
                    for kind in kinds:
                        found[f"{system.lower()}:{kind}:{row['external_id']}"] = str(row["entity"])
        return found


_OF_PRODUCTS = {
    "WooCommerce": ("product", "sku"),
    "Amelia": ("service", "event"),
    "Acuity": ("type", "calendar"),
}


def read_row(row: Row, make: Conditions) -> tuple[Transformations, tuple[str, ...]]:
    """Return the rules of a row of Data Transformations, and the places that it claims.

    Its logic is YAML: ``source`` (or the Source System of the row), ``event``, ``for`` (places such
    as ``form:lT4Z3j``) and what a rule says; or ``rules``, an object of them by event.

    Raises
        TransformationMistaken: the text names the row and what is wrong.
    """
    where = f"{DATABASE} {row['transformation_name'] or row['record_id']}"
    try:
        said: Any = yaml.safe_load(row["transformation_logic"] or "")
    except yaml.YAMLError as error:
        raise TransformationMistaken(f"{where}: it is no YAML ({error})") from None
    if not isinstance(said, Mapping):
        raise TransformationMistaken(f"{where}: Transformation Logic has to be an object in YAML")
    logic = dict(said)
    system = str(row["source_system"] or "")
    source = str(logic.pop("source", None) or _SYSTEMS.get(system, "")).lower()
    if source not in SOURCES:
        raise TransformationMistaken(
            f"{where}: source: {source or system!r} is none; name one of {', '.join(SOURCES)}"
        )
    places = logic.pop("for", ())
    places = [places] if isinstance(places, str) else list(places)
    if not all(isinstance(each, str) and ":" in each for each in places):
        raise TransformationMistaken(f"{where}: for: places such as form:lT4Z3j are needed")
    rules = logic.pop("rules", None)
    if rules is None:
        rules = {str(logic.pop("event", "*")): logic} if set(logic) - {"event"} else {}
    elif logic:
        extra = ", ".join(sorted(map(str, logic)))
        raise TransformationMistaken(f"{where}: {extra}: not beside rules")
    if places:
        rules = {event: _for_places(each, places) for event, each in rules.items()}
    found = read_transformations({source: rules}, make, where=where)
    return found, tuple(f"{source}:{place}" for place in places)


def _for_places(rule: Any, places: list[str]) -> Any:
    """Return a rule that is used for these places alone."""
    if isinstance(rule, list):
        return [_for_places(each, places) for each in rule]
    if not isinstance(rule, Mapping):
        return rule
    only = "(" + " or ".join(f"{place!r} in happening.places" for place in places) + ")"
    when = rule.get("when")
    return {**rule, "when": only if when is None else f"({when}) and {only}"}
