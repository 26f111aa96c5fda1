"""When deleting stops, and a person is asked. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Brake:
    """Up to ``few`` pages are always deleted; more only up to ``share`` of all, and up to ``most``.

    Pages without proof (they only cannot be reached any more) are held from the second on.
    """

    few: int = 5
    share: float = 0.2
    most: int = 200
    unproven: int = 1

    def holds(self, pages: int, *, of: int, proven: bool) -> bool:
        """Return whether deleting ``pages`` of all these is to wait for a person's word.

        >>> Brake().holds(40, of=100, proven=True), Brake().holds(40, of=1000, proven=True)
        (True, False)
        """
        if not proven:
            return pages > self.unproven
        return pages > self.few and (pages > self.most or pages > self.share * of)
