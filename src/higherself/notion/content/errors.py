"""What can be wrong with content that is to be written."""

from higherself.kernel.errors import Conflict, Rejected


class ContentRejected(Rejected):
    """Content that Notion would refuse. ``place`` is where: ``blocks[3].children[0]``."""

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(f"{place}: {reason}")
        self.place, self.reason = place, reason


class RegionDamaged(Conflict):
    """The marks around our part of a page are doubled, or one of them is gone."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(
            f"the part {name!r} of the page cannot be told from the rest: {reason}; "
            "delete what is left of it in Notion, and it is written anew"
        )
        self.name, self.reason = name, reason
