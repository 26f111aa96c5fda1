"""What SDKs note on the way becomes a log line of ours."""

import logging
from typing import Any

import pytest

from higherself.app.sdk_logs import tell_of
from higherself.kernel import telemetry


def test_a_warning_is_told_once_and_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(telemetry, "warning", lambda name, **facts: told.append((name, facts)))
    tell_of("some_sdk")
    tell_of("some_sdk")
    logger = logging.getLogger("some_sdk.part")
    logger.info("not this")
    try:
        raise ValueError("why")
    except ValueError:
        logger.exception("it went wrong: %s", "x" * 1000)
    ((name, facts),) = told
    assert name == "some_sdk.sdk.said"
    assert facts["logger"] == "some_sdk.part"
    assert len(facts["said"]) == 500
    assert facts["error"] == "ValueError('why')"
