"""Who may be written to, and when something is tried again: the rules alone."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from higherself.outbound.errors import ParcelRejected
from higherself.outbound.files import checked_path
from higherself.outbound.model import CHANNELS, Channel, Parcel, Purpose
from higherself.outbound.policy import (
    LONGEST_WAIT,
    PATIENCE,
    SEND,
    AllowList,
    Mode,
    Wish,
    after_a_break,
    decide,
    is_this_machine,
    next_try,
    who_wants_it,
)
from higherself.outbound.web import slack_signature, standard_signature
from higherself.testing.clock import NOON

ANA = "ana@example.org"
LIST = AllowList.read(f"{ANA}, @gallery.example, plain.example, +19735550170, hooks.slack.com")
MODES: tuple[Mode, ...] = ("live", "sandbox", "testing")


def parcel(
    *to: str,
    channel: Channel = "email",
    purpose: Purpose = "transactional",
    strict: bool = False,
) -> Parcel:
    return Parcel(channel=channel, to=to, content=b"", about="x", purpose=purpose, strict=strict)


@pytest.mark.parametrize(
    "place",
    [ANA, "ANA@Example.org", "bo@gallery.example", "bo@plain.example", "+19735550170"],
)
def test_who_is_on_the_list_is_written_to(place: str) -> None:
    assert decide(parcel(place), mode="sandbox", allowed=LIST, places=[place], wishes={}) == SEND


@pytest.mark.parametrize(
    "place", ["bo@example.org", "ana@example.org.evil.example", "x@sub.gallery.example", "gallery.example", ""]
)  # fmt: skip
def test_others_are_held_in_the_sandbox(place: str) -> None:
    verdict = decide(parcel(place), mode="sandbox", allowed=LIST, places=[place], wishes={})
    assert verdict.status == "held"
    assert "HIGHERSELF_ALLOW_LIST" in verdict.reason


def test_one_who_is_not_on_the_list_is_enough_to_hold_it() -> None:
    to = (ANA, "bo@example.org")
    assert decide(parcel(*to), mode="sandbox", allowed=LIST, places=to, wishes={}).status == "held"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("wish", "purpose", "strict", "status"),
    [
        ("nothing", "transactional", True, "dropped"),
        ("nothing", "transactional", False, "dropped"),
        ("nothing", "marketing", False, "dropped"),
        ("no_contact", "transactional", True, "sending"),
        ("no_contact", "transactional", False, "dropped"),
        ("no_contact", "marketing", True, "dropped"),
        ("no_marketing", "marketing", False, "dropped"),
        ("no_marketing", "transactional", False, "sending"),
    ],
)
def test_what_people_asked_for_counts_in_every_mode(
    mode: Mode, wish: Wish, purpose: Purpose, strict: bool, status: str
) -> None:
    verdict = decide(
        parcel(ANA, purpose=purpose, strict=strict),
        mode=mode,
        allowed=LIST,
        places=[ANA],
        wishes={ANA: wish},
    )
    assert verdict.status == status


WISHES: tuple[Wish, ...] = ("nothing", "no_contact", "no_marketing")


@given(
    st.dictionaries(st.sampled_from("abc"), st.sampled_from(WISHES)),
    st.booleans(),
    st.sampled_from(["transactional", "marketing"]),
)
def test_who_asked_for_quiet_gets_nothing_and_the_others_get_it(
    wishes: dict[str, Wish], strict: bool, purpose: Purpose
) -> None:
    letter = parcel("a", "b", "c", purpose=purpose, strict=strict)
    kept = who_wants_it(letter, wishes)
    assert set(letter.to) - set(wishes) <= set(kept)
    assert not {each for each, wish in wishes.items() if wish == "nothing"} & set(kept)
    assert purpose == "transactional" or not set(wishes) & set(kept)
    verdict = decide(letter, mode="live", allowed=LIST, places=letter.to, wishes=wishes)
    assert (verdict == SEND) == bool(kept)


@given(st.lists(st.sampled_from(["a@b.example", "c@d.example", "e@f.example"]), max_size=3))
def test_the_sandbox_sends_only_to_the_list(entries: list[str]) -> None:
    for to in ("a@b.example", "c@d.example"):
        verdict = decide(
            parcel(to), mode="sandbox", allowed=AllowList(tuple(entries)), places=[to], wishes={}
        )
        assert (verdict == SEND) == (to in entries)


@pytest.mark.parametrize("entry", ["a b@c", "<a@b.example>", "*", "https://x.example/"])
def test_an_entry_that_can_be_nobody_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match="neither an address"):
        AllowList.read(entry)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost", "LOCALHOST."]
)
def test_this_machine(host: str) -> None:
    assert is_this_machine(host)


@pytest.mark.parametrize(
    "host", ["mail.example.org", "10.0.0.1", "localhost.example.org", "0.0.0.0", "127.0.0.1.nip.io", ""]
)  # fmt: skip
def test_not_this_machine(host: str) -> None:
    assert not is_this_machine(host)


@given(st.integers(1, 500), st.floats(0, 1))
def test_it_is_tried_again_until_it_has_been_long_enough(attempts: int, jitter: float) -> None:
    soon = next_try(attempts, created_at=NOON, now=NOON + timedelta(hours=1), jitter=jitter)
    assert soon is not None
    assert NOON + timedelta(hours=1) <= soon <= NOON + timedelta(hours=1) + LONGEST_WAIT
    assert next_try(attempts, created_at=NOON, now=NOON + PATIENCE) is None


@pytest.mark.parametrize("channel", CHANNELS)
def test_what_may_have_arrived_is_not_repeated_where_twice_is_twice(channel: Channel) -> None:
    assert after_a_break(channel, handed_over=False) == "queued"
    again = channel in ("webhook", "file")
    assert after_a_break(channel, handed_over=True) == ("queued" if again else "uncertain")


@pytest.mark.parametrize(
    "name", ["", "/etc/passwd", "../x", "a/../../x", ".ssh/keys", "a/.hidden", "a\nb", "a\\b", "c:x", "x" * 201]
)  # fmt: skip
def test_a_path_that_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(ParcelRejected, match="name:"):
        checked_path(name)


def test_signatures_are_those_of_the_schemes() -> None:
    """The first is Slack's own example, the second that of the Standard Webhooks library."""
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id="
        b"G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-"
        b"collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F39770088"
        b"5554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447"
        b"fce8b6703c"
    )
    signed = slack_signature("8f742231b10e8888abcd99yyyzzz85a5", 1531420618, body)
    assert signed == "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
    given = standard_signature(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert given == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
