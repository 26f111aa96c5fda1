"""What the SDKs of protocols note on the way, told as our own log lines."""

import logging

from higherself.kernel import telemetry

LONGEST = 500


class _Telling(logging.Handler):
    """Makes one line of a record; the traceback of an error becomes its name."""

    def __init__(self, sdk: str) -> None:
        super().__init__(logging.WARNING)
        self._sdk = sdk

    def emit(self, record: logging.LogRecord) -> None:
        """Tell it."""
        error = record.exc_info[1] if record.exc_info else None
        facts = {"logger": record.name, "said": record.getMessage()[:LONGEST]}
        if error is not None:
            facts["error"] = repr(error)[:LONGEST]
        telemetry.warning(f"{self._sdk}.sdk.said", **facts)


def tell_of(sdk: str) -> None:
    """Tell what the package ``sdk`` warns of, from now on; without this it is plain text on stderr."""
    logger = logging.getLogger(sdk)
    if not any(isinstance(each, _Telling) for each in logger.handlers):
        logger.addHandler(_Telling(sdk))
