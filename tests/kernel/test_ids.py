import os
from datetime import UTC, datetime

from higherself.kernel.ids import new_id

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def test_identifiers_are_new_and_sort_by_their_time() -> None:
    made = [new_id(NOW) for _ in range(2_000)]
    assert len(set(made)) == 2_000
    assert {each.version for each in made} == {7}
    assert new_id(NOW.replace(hour=13)) > max(made)


def test_a_forked_process_makes_identifiers_of_its_own() -> None:
    new_id(NOW)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, new_id(NOW).bytes)
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 16) not in {new_id(NOW).bytes for _ in range(600)}
