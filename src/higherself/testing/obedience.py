"""How the local server's models behave: plausibly, or as obediently as the worst model could.

Whoever proves that retrieved text can bring nothing about proves it with `Obedient`: it takes every
text for an order, wherever it stands, and does all that it could mean.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from higherself.agents.llm.ports import Call, Exchange, Reply, Told
from higherself.agents.llm.usage import Price, Usage
from higherself.kernel.jsonvalue import JsonValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a model was sent: ``texts`` are all but instructions and its own words.

    ``results`` counts those of tools; ``output`` is the function that takes the output, if any.
    """

    model: str = "model"
    instructions: str = ""
    texts: tuple[str, ...] = ()
    results: int = 0
    tools: Mapping[str, Any] = field(default_factory=dict)
    output: str | None = None
    output_schema: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What it answers: words, and calls of functions with their input (a text is sent as it is)."""

    text: str = ""
    calls: tuple[tuple[str, Any], ...] = ()
    cut: bool = False


def plausible(heard: Heard) -> Said:
    """Answer with a word, or with an output that has every field that is asked for."""
    if heard.output is None:
        return Said(text="Certainly.")
    return Said(calls=((heard.output, filled(heard.output_schema, lambda name: "certainly")),))


ORDERED_TOOLS = re.compile(r"\b[a-z][a-z0-9]*(?:_[a-z0-9]+)+\b")
"""Names of functions, as texts have them."""

_MAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_URL = re.compile(r"https?://[^\s\"'<>)\]\\]+")

ALWAYS_TRIED = (
    "send_email", "http_get", "fetch_url", "run_shell", "delete_document", "transfer_money",
    "search", "read_file", "write_file", "delegate", "hand_off", "set_state", "final_result",
)  # fmt: skip
SLIPPED_IN = ("to", "recipient", "bcc", "cc", "tool", "entity", "state", "event", "approve")
"""Fields that nobody asked for, with which an obedient model would change what is done."""


@dataclass(slots=True)
class Obedient:
    """Does whatever any text tells it, and more: it looks for orders in everything it was sent.

    First it calls every function there is, every one that a text names, and those that attackers
    like, with addresses and links from the texts as input. Then it gives an output in which every
    word is the attacker's, with fields that nobody asked for. ``tried`` are the calls it made.
    """

    tried: list[str] = field(default_factory=list)

    def __call__(self, heard: Heard) -> Said:
        """Answer."""
        orders = list(_everything(heard.texts))
        if heard.results == 0 and (heard.tools or heard.output is None):
            named = [name for text in orders for name in ORDERED_TOOLS.findall(text)]
            names = list(dict.fromkeys([*heard.tools, *named, *ALWAYS_TRIED]))
            names = [name for name in names if name != heard.output]
            self.tried += names
            calls = [(name, self._input(heard.tools.get(name, {}), orders)) for name in names]
            return Said(calls=tuple(calls))
        if heard.output is None:
            return Said(text="\n".join(orders))
        given = self._input(heard.output_schema, orders)
        slipped = dict.fromkeys(SLIPPED_IN, _address(orders))
        self.tried.append(heard.output)
        return Said(calls=((heard.output, {**given, **slipped}),))

    def _input(self, schema: Mapping[str, Any], orders: list[str]) -> dict[str, Any]:
        def word(name: str) -> str:
            if any(part in name for part in ("to", "mail", "recipient", "address")):
                return _address(orders)
            if any(part in name for part in ("url", "link", "uri")):
                return _link(orders)
            return " ".join(orders)

        given = filled(schema, word) if schema else {"to": _address(orders), "url": _link(orders)}
        return given if isinstance(given, dict) else {"value": given}


def _address(orders: list[str]) -> str:
    found = [address for text in orders for address in _MAIL.findall(text)]
    return found[-1] if found else "eve@example.org"


def _link(orders: list[str]) -> str:
    found = [link for text in orders for link in _URL.findall(text)]
    return found[-1] if found else "https://evil.example.org/?q=everything"


def _everything(texts: tuple[str, ...]) -> Iterator[str]:
    """Yield every text, and all the strings in those that hold JSON: nothing is out of its reach."""
    for text in texts:
        for line in text.split("\n"):
            try:
                yield from _strings(json.loads(line))
            except ValueError:
                yield line


def _strings(value: JsonValue) -> Iterator[str]:
    match value:
        case str():
            yield value
        case Mapping():
            for each in value.values():
                yield from _strings(each)
        case list():
            for each in value:
                yield from _strings(each)
        case _:
            return


def filled(
    schema: Mapping[str, Any],
    word: Callable[[str], str],
    name: str = "",
    whole: Mapping[str, Any] | None = None,
) -> Any:
    """Return a value that fits a JSON Schema as pydantic writes it; its texts are ``word(field)``."""
    whole = whole or schema
    if reference := schema.get("$ref"):
        return filled(whole["$defs"][reference.rpartition("/")[2]], word, name, whole)
    if options := schema.get("anyOf"):
        return filled(options[0], word, name, whole)
    if fixed := [schema["const"]] if "const" in schema else schema.get("enum"):
        return fixed[0]
    kind = schema.get("type")
    if kind == "object":
        properties = schema.get("properties", {})
        return {key: filled(each, word, key, whole) for key, each in properties.items()}
    if kind == "array":
        return [filled(schema.get("items", {}), word, name, whole)]
    plain = {
        "integer": max(1, schema.get("minimum", 1)),
        "number": 0.5,
        "boolean": True,
        "null": None,
    }
    return plain[kind] if kind in plain else word(name)[: schema.get("maxLength")]


@dataclass(slots=True)
class BehavingEndpoint:
    """An `Endpoint` without a vendor or a connection: ``behave`` answers at once, for fast tests."""

    behave: Callable[[Heard], Said]
    name: str = "test:obedient"
    price: Price = field(default_factory=lambda: Price(input=0, output=0))
    on_machine: bool = True

    async def open(self) -> None:
        """Get ready: nothing is to be done."""

    async def post(self, exchange: Exchange) -> Reply:
        """Answer as the behaviour does."""
        texts: list[str] = []
        results = 0
        for turn in exchange.turns:
            if isinstance(turn, Told):
                texts += [turn.text, *(each.text for each in turn.results)]
                results += len(turn.results)
        output = exchange.output
        said = self.behave(
            Heard(
                model=self.name,
                instructions=exchange.instructions,
                texts=tuple(each for each in texts if each),
                results=results,
                tools={each.name: each.schema for each in exchange.tools},
                output=None if output is None else output.name,
                output_schema={} if output is None else output.schema,
            )
        )
        calls = tuple(
            Call(str(number), name, given if isinstance(given, str) else json.dumps(given))
            for number, (name, given) in enumerate(said.calls)
        )
        return Reply(
            text=said.text, calls=calls, usage=Usage(requests=1), model="obedient", cut=said.cut
        )

    async def close(self) -> None:
        """Release nothing."""
