"""The rows of the lexical index: made here or, of many texts, in a process beside this one.

To find the words of texts is the most of what taking in bulk costs in Python, and two threads of
one process take turns. The process speaks over pipes: the length of what follows, then JSON in and
rows out. It ends when nobody holds the other end, whatever becomes of this process.
"""

import os
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import IO

from pydantic_core import from_json, to_json

from higherself.kernel.ids import ChunkId
from higherself.knowledge.binary_copy import posting_rows
from higherself.knowledge.lexical import invert

MANY = 2_000
"""Chunks; below, to have them done elsewhere takes as long as to do them (measured)."""

_LENGTH = struct.Struct(">q")

Chunks = Mapping[str, Sequence[tuple[ChunkId, str]]]
"""Business -> its chunks, ascending, with the texts to index."""


def inverted(chunks: Chunks) -> bytes:
    """Return the rows of all terms of ``chunks``, as COPY takes them (see `posting_rows`)."""
    return b"".join(posting_rows(entity, invert(texts)) for entity, texts in chunks.items())


class Inverter:
    """Inverts the texts of one run after another; many in a process, which `close` ends.

    Safe for threads. Without the process, or if it dies, everything is done here.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._helper: subprocess.Popen[bytes] | None = None

    def rows(self, chunks: Chunks) -> bytes:
        """Return the same as `inverted`. Takes long: call it in a thread."""
        if sum(map(len, chunks.values())) < MANY or (os.cpu_count() or 1) < 2:
            return inverted(chunks)
        with self._lock:
            helper, found = self._helper, None
            if helper is None:  # it starts while the first are done here
                self._helper = _started()
            else:
                found = _asked(helper, chunks)
        if helper is not None and found is None:
            self.close()
        return inverted(chunks) if found is None else found

    def close(self) -> None:
        """End the process, if there is one; the next many texts start another."""
        with self._lock:
            helper, self._helper = self._helper, None
        if helper is not None:
            helper.kill()  # nobody waits for it, and so it waits for nobody
            with suppress(OSError), helper:
                pass


def _started() -> subprocess.Popen[bytes] | None:
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "higherself.knowledge.inverting"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            process_group=0,  # Ctrl-C is for us, and we end it
        )
    except OSError:
        return None


def _asked(helper: "subprocess.Popen[bytes]", chunks: Chunks) -> bytes | None:
    """Return what ``helper`` makes of ``chunks``, or None if it does not live."""
    assert helper.stdin is not None  # noqa: S101  both are pipes
    assert helper.stdout is not None  # noqa: S101
    try:
        _send(helper.stdin, to_json([[entity, texts] for entity, texts in chunks.items()]))
        return _received(helper.stdout)
    except OSError:
        return None


def _send(pipe: IO[bytes], data: bytes) -> None:
    pipe.write(_LENGTH.pack(len(data)))
    pipe.write(data)
    pipe.flush()


def _received(pipe: IO[bytes]) -> bytes | None:
    """Return what was sent, or None if the other side has ended before it was complete."""
    head = pipe.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    data = pipe.read(length)
    return data if len(data) == length else None


def main() -> None:
    """Answer until nobody asks any more."""
    while (asked := _received(sys.stdin.buffer)) is not None:
        _send(sys.stdout.buffer, inverted(dict(from_json(asked))))


if __name__ == "__main__":
    with suppress(BrokenPipeError, KeyboardInterrupt):
        main()
