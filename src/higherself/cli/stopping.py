"""Being told to stop: by SIGTERM, or by Ctrl-C."""

import asyncio
import signal


def asked_to_stop() -> asyncio.Event:
    """Return an event that SIGTERM and Ctrl-C set from now on. A second Ctrl-C interrupts."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def interrupted() -> None:
        stop.set()
        loop.remove_signal_handler(signal.SIGINT)

    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGINT, interrupted)
    return stop
