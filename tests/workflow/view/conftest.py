"""The real mermaid, started once for each test process."""

from collections.abc import Iterator

import pytest
from tests.workflow.view.real_mermaid import RealMermaid
from tests.workflow.view.real_mermaid import real_mermaid as started


@pytest.fixture(scope="session")
def real_mermaid() -> Iterator[RealMermaid]:
    """The real mermaid: `real_mermaid.parse(text)` says what it has understood."""
    with started() as mermaid:
        yield mermaid
