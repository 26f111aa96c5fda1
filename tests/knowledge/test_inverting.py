"""What the process beside makes is what would be made here, also if it dies, and it never stays."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from higherself.kernel.ids import ChunkId
from higherself.knowledge.inverting import MANY, Inverter, inverted

PARENT = """
import signal
from higherself.knowledge.inverting import MANY, Inverter
inverter = Inverter()
inverter.rows({"gallery": [(number, "a sound bath") for number in range(MANY)]})
print(inverter._helper.pid, flush=True)
signal.pause()
"""


def some(count: int) -> dict[str, list[tuple[ChunkId, str]]]:
    words = ("The Sound bath", "café \u2028 naïve", "日本語 and 7 Space", 'quoted "words"\n', "")
    texts = [f"{words[number % 5]} number {number % 97}" for number in range(count)]
    numbered = [(ChunkId(number), text) for number, text in enumerate(texts, start=1)]
    return {"gallery": numbered[: count // 3], "wellness": numbered[count // 3 :]}


@pytest.fixture
def inverter() -> Iterator[Inverter]:
    inverter = Inverter()
    yield inverter
    inverter.close()


def test_rows_are_the_same_wherever_they_are_made(inverter: Inverter) -> None:
    for count in (MANY, MANY + 500, MANY - 1, 3 * MANY):  # the first and the third are made here
        assert inverter.rows(some(count)) == inverted(some(count))


def test_few_start_no_process(inverter: Inverter) -> None:
    inverter.rows(some(MANY - 1))
    assert inverter._helper is None


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_if_the_process_dies_nothing_is_missing(inverter: Inverter, number: int) -> None:
    inverter.rows(some(MANY))
    assert inverter._helper is not None
    inverter._helper.send_signal(number)
    inverter._helper.wait()
    assert inverter.rows(some(MANY)) == inverted(some(MANY))
    assert inverter.rows(some(MANY)) == inverted(some(MANY)), "another has been started"


def test_closing_ends_the_process(inverter: Inverter) -> None:
    inverter.rows(some(MANY))
    helper = inverter._helper
    assert helper is not None
    inverter.close()
    assert helper.returncode is not None
    assert inverter.rows(some(MANY)) == inverted(some(MANY))


def test_the_process_ends_with_the_one_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        helper = int(parent.stdout.readline())
        os.kill(helper, 0)
        parent.kill()
    until = time.monotonic() + 20
    while not has_ended(helper):
        assert time.monotonic() < until
        time.sleep(0.02)


def has_ended(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
