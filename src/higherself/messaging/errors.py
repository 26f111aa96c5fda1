"""What can go wrong with messages, by family."""

from uuid import UUID

from higherself.kernel.errors import Conflict, NotFound, Rejected, Unavailable


class MessageMalformed(Rejected):
    """A message or an envelope cannot be taken as it is; ``attribute`` says where."""

    def __init__(self, attribute: str, reason: str) -> None:
        super().__init__(f"a message with this {attribute} cannot be taken: {reason}")
        self.attribute, self.reason = attribute, reason


class MessageTooLarge(Rejected):
    """The data of a message are longer than the limit."""

    def __init__(self, type_: str, size: int, limit: int) -> None:
        super().__init__(
            f"the data of a message {type_!r} are {size:,} bytes long, and {limit:,} is the limit; "
            "store them elsewhere and send a reference (the extension dataref)"
        )
        self.size, self.limit = size, limit


class TooManyHops(Rejected):
    """A message was caused by a message that was caused by a message, and so on, too often."""

    def __init__(self, type_: str, hops: int, limit: int) -> None:
        super().__init__(
            f"a message {type_!r} would be the hop {hops} of its conversation, and {limit} is the "
            "limit: two handlers answer each other"
        )
        self.hops, self.limit = hops, limit


class TopicFull(Unavailable):
    """So many messages of a topic are due and not handled that no more are taken."""

    def __init__(self, topic: str, entity: str | None, limit: int) -> None:
        whose = f" of {entity}" if entity else ""
        super().__init__(
            f"{limit:,} messages{whose} are due on the topic {topic!r} and not yet handled, so no "
            "more are taken: run more workers, or send less and try again later"
        )
        self.topic, self.entity, self.limit = topic, entity, limit


class GroupFull(TopicFull):
    """A group is so far behind that no more events are taken that it would have to be told of."""

    def __init__(self, group: str, entity: str | None, limit: int) -> None:
        super().__init__(f"group.{group}", entity, limit)
        self.group = group
        self.args = (
            f"the group {group!r} has {limit:,} events to handle, so no more are taken that it is told "
            f"of: run more workers for it, or end it (`higherself messages unsubscribe {group}`)",
        )


class ChannelClosed(Unavailable):
    """The process is about to stop, and sends no more."""

    def __init__(self) -> None:
        super().__init__(
            "the channel was closed while a message was being sent, so it is not known whether it "
            "is stored; send it again with the same idempotency key or id to be sure"
        )


class LeaseLost(Conflict):
    """A message was taken from its consumer before it had settled it; nothing was stored."""

    def __init__(self, message: UUID) -> None:
        super().__init__(
            f"the lease on message {message} ran out, or the message was cancelled; nothing of "
            "this attempt was stored"
        )
        self.message = message


class MessageNotFound(NotFound):
    """No message has this identifier."""

    def __init__(self, message: str) -> None:
        super().__init__(f"no message {message!r}; list them with `higherself messages list`")
        self.message = message


class NotADeadLetter(Conflict):
    """Only a dead letter can be put back or discarded."""

    def __init__(self, message: UUID, status: str) -> None:
        super().__init__(
            f"message {message} is {status}, and only a dead letter can be requeued or discarded; "
            "list those with `higherself messages dead`"
        )
        self.message, self.status = message, status
