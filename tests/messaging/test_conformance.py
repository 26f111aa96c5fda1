"""Every durable channel keeps every promise."""

import pytest
from tests.messaging.conformance import PROMISES
from tests.messaging.rig import Rig

pytestmark = pytest.mark.postgres


@pytest.mark.parametrize("promise", PROMISES)
async def test_promise(rig: Rig, promise: str) -> None:
    await PROMISES[promise](rig)
