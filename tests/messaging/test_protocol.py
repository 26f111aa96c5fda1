import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from higherself.messaging.envelope import Envelope, MessageId
from higherself.messaging.errors import MessageMalformed
from higherself.messaging.protocol import (
    UNLIMITED,
    Budget,
    BudgetSpent,
    Identity,
    Purse,
    address,
    budget_of,
    check_protocol,
    trace_of,
)

ID = MessageId(UUID("0198c0de-0000-7000-8000-00000000abcd"))


def an_envelope(**extensions: Any) -> Envelope:
    return Envelope(
        id=ID,
        source="urn:test",
        type="lead.captured",
        time=datetime(2026, 11, 23, tzinfo=UTC),
        correlation_id=str(ID),
        extensions=extensions,
    )


@pytest.mark.parametrize(
    ("to", "topic"),
    [
        ("agent:nyra", "agent.nyra"),
        ("topic:mail.send", "mail.send"),
        ("capability:lead_enrichment", None),
        ("role:marketing_strategist", None),
    ],
)
def test_an_address_says_its_topic_if_it_is_known(to: str, topic: str | None) -> None:
    assert (str(address(to)), address(to).topic) == (to, topic)


@pytest.mark.parametrize(
    "to",
    ["", "nyra", "agent:", "agent:Nyra", "agent:a.b", "person:ada", "topic:", "topic:A", "role:"],
)
def test_what_is_no_address_is_refused_with_what_one_looks_like(to: str) -> None:
    with pytest.raises(MessageMalformed, match="for example agent:nyra"):
        address(to)


def test_an_identity_has_a_name_that_fits_into_a_source() -> None:
    assert Identity("service", "mail").source == "urn:higherself:service:mail"
    with pytest.raises(MessageMalformed, match="identity"):
        Identity("agent", "nyra\nagent:ruby")


def test_a_trace_is_that_of_the_conversation_and_its_span_is_the_message() -> None:
    assert trace_of(str(ID), ID) == f"00-{ID.hex}-{ID.hex[16:]}-01"
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", trace_of("order 7", ID))
    assert trace_of("order 7", ID)[3:35] == trace_of("order 7", MessageId(UUID(int=1)))[3:35]


def test_a_trace_that_came_in_goes_on() -> None:
    came = an_envelope(traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    assert trace_of("x", ID, came) == f"00-0af7651916cd43dd8448eb211c80319c-{ID.hex[16:]}-01"


@given(st.integers(0, 10**7), st.integers(0, 10**7), st.lists(st.integers(0, 10**6)))
def test_a_purse_never_has_less_than_nothing_and_knows_what_was_spent(
    micro_usd: int, tokens: int, spent: list[int]
) -> None:
    purse = Purse(Budget(micro_usd, tokens))
    for each in spent:
        purse.spend(micro_usd=each, tokens=each)
    assert purse.left == Budget(max(0, micro_usd - sum(spent)), max(0, tokens - sum(spent)))
    assert (purse.micro_usd, purse.tokens) == (sum(spent), sum(spent))


def test_an_empty_purse_refuses_and_says_what_is_spent() -> None:
    purse = Purse(Budget(micro_usd=5, tokens=10))
    purse.require("ask")
    purse.spend(tokens=10)
    with pytest.raises(BudgetSpent, match="no tokens are left"):
        purse.require("ask")
    Purse(UNLIMITED).require("ask")


def test_a_large_budget_travels_as_text() -> None:
    assert budget_of(an_envelope(budgetmicrousd="5000000000", budgettokens=7)) == Budget(
        5 * 10**9, 7
    )
    assert budget_of(an_envelope()) is UNLIMITED


@pytest.mark.parametrize(
    ("extensions", "attribute"),
    [
        ({"performative": "shout"}, "performative"),
        ({"to": "nyra"}, "to"),
        ({"to": 7}, "to"),
        ({"replyto": "No Topic"}, "replyto"),
        ({"traceparent": "00-zz"}, "traceparent"),
        ({"budgetmicrousd": -1}, "budgetmicrousd"),
        ({"budgettokens": True}, "budgettokens"),
        ({"budgettokens": "many"}, "budgettokens"),
    ],
)
def test_what_comes_from_elsewhere_is_checked(extensions: dict[str, Any], attribute: str) -> None:
    with pytest.raises(MessageMalformed) as refused:
        check_protocol(an_envelope(**extensions))
    assert refused.value.attribute == attribute


def test_what_is_right_passes() -> None:
    check_protocol(
        an_envelope(
            performative="request",
            to="agent:nyra",
            replyto="reply.1",
            budgettokens=5,
            traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            unknown="passes",
        )
    )
