"""What can go wrong with knowledge, by family."""

from higherself.kernel.errors import Misconfigured, NotFound, Rejected, Unavailable


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


class ProviderUnavailable(Unavailable):
    """An embedding provider failed; nothing was returned or stored."""


class ProviderMisconfigured(Misconfigured):
    """An embedding provider cannot be built from the settings and packages at hand."""


class MissingPath(NotFound):
    """A file or folder that was to be read does not exist."""

    def __init__(self, path: str) -> None:
        super().__init__(f"no file or folder {path!r}; check the spelling or give the full path")
        self.path = path
