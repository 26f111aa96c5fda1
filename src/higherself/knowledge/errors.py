"""What can go wrong with knowledge, by family."""

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from higherself.kernel.errors import Conflict, Misconfigured, NotFound, Rejected, Unavailable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class DocumentRejected(Rejected):
    """A document cannot be taken in as it is."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name, self.reason = name, reason


class DocumentNotFound(NotFound):
    """No document has this identifier."""

    def __init__(self, document: str) -> None:
        super().__init__(
            f"no document {document!r}; list them with `higherself knowledge show`, "
            "or find it with `higherself knowledge search`"
        )
        self.document = document


class TracesLeft(Conflict):
    """Documents were deleted, and rows of them were found afterwards."""

    def __init__(self, left: Mapping[str, int]) -> None:
        where = ", ".join(f"{rows} in {table}" for table, rows in left.items())
        super().__init__(
            f"the documents are deleted, but rows of them are there, left over or come in meanwhile: "
            f"{where}; delete again, and if they stay, run `higherself knowledge verify --repair`"
        )
        self.left = dict(left)


class QueryRejected(Rejected):
    """A search request makes no sense as it is."""


class TextTooLong(Rejected):
    """A text exceeds the model's window; nothing is ever cut silently."""

    def __init__(self, *, tokens: int, limit: int) -> None:
        super().__init__(f"a text of {tokens} tokens exceeds the model's window of {limit}")
        self.tokens, self.limit = tokens, limit


class BadVector(Rejected):
    """A provider or a caller handed over a vector that cannot be stored."""


class SpaceMismatch(Rejected):
    """A vector of one embedding space was about to enter another."""

    def __init__(self, *, expected: str, got: str) -> None:
        super().__init__(f"cannot put a vector of {got} into the space {expected}")
        self.expected, self.got = expected, got


class TextsRefused(Rejected):
    """A provider refuses some texts of a call for what they are; the other vectors come along.

    ``reasons`` says why, by the text's place in the call. ``vectors`` is what the call would have
    returned; the rows of the refused texts are NaN.
    """

    def __init__(
        self, tier: str, reasons: Mapping[int, str], vectors: "NDArray[np.float32]"
    ) -> None:
        some = next(iter(reasons.values()))
        super().__init__(f"{tier} refuses {len(reasons)} of {len(vectors)} texts: {some}")
        self.tier, self.reasons, self.vectors = tier, reasons, vectors


class ProviderUnavailable(Unavailable):
    """An embedding provider failed; nothing was returned or stored.

    ``retry_after`` is when to come back, as far as is known. ``permanent``: trying again does not
    help until a person changes something. ``timed_out``: there was no answer in time.
    """

    def __init__(
        self,
        message: str,
        *,
        retry_after: timedelta | None = None,
        permanent: bool = False,
        timed_out: bool = False,
    ) -> None:
        super().__init__(message)
        self.retry_after, self.permanent, self.timed_out = retry_after, permanent, timed_out


class TierPaused(ProviderUnavailable):
    """A tier is off, left alone for now, or has used up its allowance; no request left."""


class ProviderMisconfigured(Misconfigured):
    """An embedding provider cannot be built from the settings and packages at hand."""


class MissingPath(NotFound):
    """A file or folder that was to be read does not exist."""

    def __init__(self, path: str) -> None:
        super().__init__(f"no file or folder {path!r}; check the spelling or give the full path")
        self.path = path
