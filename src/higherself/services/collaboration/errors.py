"""What goes wrong with a collaboration."""

from collections.abc import Sequence
from uuid import UUID

from higherself.kernel.errors import Conflict, NotFound, Rejected, Unavailable


class CollaborationNotFound(NotFound):
    """No collaboration has this identifier."""

    def __init__(self, id: UUID) -> None:
        super().__init__(f"no collaboration {id}; list them with `higherself patterns list`")
        self.id = id


class CollaborationBusy(Unavailable):
    """So many want to change a collaboration at once that this one did not get its turn."""

    def __init__(self, id: UUID) -> None:
        super().__init__(f"collaboration {id} is being changed by many at once; try again")
        self.id = id


class NothingAsked(Conflict):
    """A person answered what nobody has asked."""

    def __init__(self, id: UUID, reason: str) -> None:
        super().__init__(f"collaboration {id} {reason}; see `higherself patterns show {id}`")
        self.id = id


class NotEntitledToAnswer(Rejected):
    """Somebody answered who has none of the roles that are asked."""

    def __init__(self, id: UUID, roles: Sequence[str]) -> None:
        super().__init__(f"collaboration {id} asks {' or '.join(roles)}; answer as one of them")
        self.id, self.roles = id, tuple(roles)
