from datetime import UTC, datetime, timedelta

import pytest

from higherself.knowledge.providers.faults import LONGEST_REASON, Account, retry_after

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ACCOUNT = Account(
    tier="voyage",
    key="pa-secret",
    key_setting="VOYAGE_API_KEY",
    url_setting="VOYAGE_BASE_URL",
    model_setting="VOYAGE_MODEL",
)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "20"}, 20),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "Sun, 22 Nov 2026 12:01:00 GMT"}, 60),
        ({"retry-after": "Sun, 22 Nov 2026 11:00:00 GMT"}, 0),
        ({"retry-after": "Sun, 22 Nov 2026 11:00:00 -0000"}, None),
        ({"retry-after": "-5"}, 0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "1e300"}, None),
    ],
)
def test_how_long_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    expected = None if seconds is None else timedelta(seconds=seconds)
    assert retry_after(headers, NOW) == expected


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 422, 429, 500, 503])
def test_a_key_is_never_repeated(status: int) -> None:
    error = ACCOUNT.fault(status, "Incorrect API key provided: pa-secret", {}, NOW)
    assert "pa-secret" not in str(error)


def test_what_is_said_becomes_one_short_line() -> None:
    assert ACCOUNT.shown("a\n b\t c") == "a b c"
    assert len(ACCOUNT.shown("word " * 1000)) == LONGEST_REASON
    assert ACCOUNT.shown("  <html><body>") == "a page of HTML"
