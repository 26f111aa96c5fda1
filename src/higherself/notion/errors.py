"""What goes wrong with Notion, in our families; each says what to do next."""

from datetime import timedelta

from higherself.kernel.errors import Conflict, Misconfigured, NotFound, Rejected, Unavailable


class NotionUnavailable(Unavailable):
    """Notion does not answer, or answers that it cannot now.

    ``ambiguous``: it was a write, and nobody knows whether it happened. ``landed`` tells that its
    answer is final all the same: Notion has ended its work on it.
    """

    def __init__(
        self,
        message: str,
        *,
        retry_after: timedelta | None = None,
        ambiguous: bool = False,
        landed: bool = False,
    ) -> None:
        super().__init__(message)
        self.retry_after, self.ambiguous, self.landed = retry_after, ambiguous, landed


class NotionThrottled(NotionUnavailable):
    """There are too many requests, and waiting would take longer than the caller has."""


class Committed(NotionUnavailable):
    """A write was answered 503, and Notion says that it has happened: read, do not repeat."""

    def __init__(self, message: str, *, resource: str | None, children: tuple[str, ...]) -> None:
        super().__init__(message, ambiguous=True, landed=True)
        self.resource, self.children = resource, children


class NotAuthorised(Misconfigured):
    """Notion does not know the token (401)."""


class NotionForbidden(Misconfigured):
    """The connection may not do this (403), or Notion has blocked its requests."""


class PageNotFound(NotFound):
    """It is not there, or not shared with the connection (404): Notion does not tell which."""


class EditConflict(Conflict):
    """Somebody has changed it meanwhile: read it again, then decide again."""


class NotionRejected(Rejected):
    """Notion cannot accept the request as it is (400); ``code`` is Notion's."""

    def __init__(self, message: str, *, code: str = "validation_error") -> None:
        super().__init__(message)
        self.code = code
