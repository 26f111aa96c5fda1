"""What can become of something that was to be sent, by family."""

from higherself.kernel.errors import Conflict, Misconfigured, NotFound, Rejected, Unavailable


class NotCarried(Unavailable):
    """It certainly did not arrive, and may be tried again."""


class NotCarriedForThem(NotCarried):
    """It certainly did not arrive, because of whom it is for: others may well be reached."""


class Refused(Rejected):
    """Whoever it was for does not take it; trying again never helps."""


class OutcomeUnknown(Rejected):
    """It was on its way when the connection broke: nobody knows whether it arrived.

    So it is not sent again by itself: a person looks, and has it sent again or leaves it.
    """


class BeingSent(Unavailable):
    """Another process is sending it at this moment."""


class OutOfReach(Misconfigured):
    """An installation that is set to testing must not connect there."""


class NotSetUp(Misconfigured):
    """What it takes to send this is not set."""


class ParcelRejected(Rejected):
    """Something cannot be sent as it is."""


class DeliveryUnknown(NotFound):
    """There is no delivery of this id."""


class NothingToRelease(Conflict):
    """A delivery is not one that could be sent now."""
