"""What happens to businesses, as the program takes it in: contacts, triggers, set-ups."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import yaml

from higherself.services.contacts import Contacts
from higherself.services.happenings import Happenings
from higherself.services.setups import Setups
from higherself.services.triggers import Triggers, read_triggers

if TYPE_CHECKING:
    from higherself.app.wiring import HigherSelf


class _Yaml(yaml.SafeLoader):
    """Reads `on` as the word that it is; YAML 1.1 makes true of it."""


_Yaml.yaml_implicit_resolvers = {
    first: [each for each in found if each[0] != "tag:yaml.org,2002:bool" or first in "tTfF"]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@cache
def installed_triggers() -> Triggers:
    """Return the triggers that come with the program.

    Raises
        TriggersRejected: they are not as they have to be.
    """
    text = files("higherself.business").joinpath("triggers.yaml").read_text("utf-8")
    said: Mapping[str, Any] = yaml.load(text, Loader=_Yaml)  # noqa: S506  it is a safe one
    return read_triggers(said)


def contacts_of(hs: "HigherSelf") -> Contacts:
    """Return the people that the businesses know."""
    return Contacts(hs.records, hs.database, tidy=tidy_phone)


def tidy_phone(text: str) -> str | None:
    """Return a telephone number as E.164 if that can be said of it, else as it is given."""
    from higherself.business.data.phones import NumberUnclear, read_phone

    try:
        return read_phone(text)
    except NumberUnclear:
        return text


def setups_of(hs: "HigherSelf") -> Setups:
    """Return what businesses have set up."""
    return Setups(hs.database, hs.workflows, hs.clock)


def happenings_of(hs: "HigherSelf") -> Happenings:
    """Return what takes in happenings."""
    return Happenings(
        hs.database, hs.bus, hs.workflows, installed_triggers(), hs.contacts, hs.setups, hs.clock
    )
