"""NATS as two more roads: a durable one over JetStream, and one for who hears now.

A message that the durable road takes is on the disk of the NATS server; a drain, which runs in every
worker, brings it to PostgreSQL, where it is handled like every other. See `open_nats`.
"""

from higherself.messaging.nats.opening import Nats, open_nats
from higherself.messaging.nats.settings import NatsSettings

__all__ = ["Nats", "NatsSettings", "open_nats"]
