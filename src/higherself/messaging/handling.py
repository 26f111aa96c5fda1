"""Run a handler, and find out how it ended."""

from datetime import timedelta

from higherself.kernel import telemetry
from higherself.kernel.errors import Rejected
from higherself.messaging.errors import LeaseLost
from higherself.messaging.model import DONE, Cancelled, Done, Failed, Outcome, Snoozed
from higherself.messaging.ports import Delivery, HandledBefore, Handler


async def outcome_of(handler: Handler, delivery: Delivery) -> Outcome | None:
    """Return how ``handler`` ended; None if there is nothing to be settled any more.

    What it raises is a failure: `Rejected` and what says that it is ``permanent`` are not tried
    again; what has a ``retry_after`` is not tried before. Cancelling this cancels the handler.
    """
    try:
        outcome = await handler(delivery)
    except HandledBefore:
        return DONE
    except LeaseLost:
        return None
    except Exception as error:  # noqa: BLE001  whatever a handler raises is about its message alone
        if delivery.settled:
            telemetry.warning("messaging.handler.failed_late", reason=_reason(error))
            return None
        return _failure(error)
    if delivery.settled:
        return None
    if outcome is not None and not isinstance(outcome, Done | Failed | Snoozed | Cancelled):
        return Failed(f"the handler returned {outcome!r}, which is no outcome", retryable=False)
    return outcome or DONE


def _failure(error: Exception) -> Failed:
    retry_after = getattr(error, "retry_after", None)
    permanent = isinstance(error, Rejected) or getattr(error, "permanent", False) is True
    return Failed(
        _reason(error),
        retryable=not permanent,
        retry_after=retry_after if isinstance(retry_after, timedelta) else None,
    )


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".rstrip(": ")
