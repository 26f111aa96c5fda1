"""Art sales (flow 3) and tasks (flow 5), played through."""

from datetime import timedelta
from typing import Any

import pytest
from tests.business.workflows.played import DAY, HOUR, Played
from tests.workflow.world import NOON

from higherself.kernel.errors import Rejected

# --- Art sales.

BUYER = {
    "record_id": "r1", "email": "ana@example.org", "phone": None, "full_name": "Ana Ito",
    "first_name": "Ana", "may_be_contacted": True,
}  # fmt: skip
ORDER = {
    "id": "77", "number": "1077", "status": "pending", "total": 450, "currency": "USD",
    "items": [{"name": "Passaic Heron", "quantity": 1}],
}  # fmt: skip
TASK = {
    "record_id": "t1",
    "task_id": "TASK-1",
    "name": "n",
    "status": "To Do",
    "priority": "Medium",
}


def sale(status: str = "processing", contact: Any = BUYER, **settings: Any) -> Played:
    played = Played("art_sale", {"create_task": TASK})
    return played.start(settings, contact=contact, order={**ORDER, "status": status})


def test_an_order_goes_from_the_payment_to_the_thanks() -> None:
    played = sale("pending")
    assert (played.state, played.letters) == ("awaiting_payment", [])
    played.told("payment_received", payment={"amount": 450})
    assert played.state == "fulfilling"
    assert played.tasks == ["pack_artwork", "certificate_of_authenticity", "ship_artwork"]
    assert played.asked("create_task")[0]["facts"] == {"order": "1077"}
    shipment = {"status": "shipped", "carrier": "DHL", "link": "https://track.example/1"}
    played.told("shipment_updated", shipment=shipment)
    assert played.state == "in_transit"
    played.told("shipment_updated", shipment={**shipment, "status": "delivered"})
    played.waited(10 * DAY)
    assert [each for _, each in played.letters] == [
        "order_confirmation", "shipping_update", "artwork_appreciation"
    ]  # fmt: skip
    assert played.state == "kept"
    played.waited(30 * DAY)
    assert played.state == "completed"
    assert played.asked("save_contact")[0]["status"] == "Active Client"


def test_an_order_that_is_not_paid_for_is_given_up() -> None:
    assert sale("pending").waited(14 * DAY).state == "unpaid"


@pytest.mark.parametrize("status", ["cancelled", "refunded", "failed"])
def test_a_cancelled_order_stops_and_the_buyer_is_told(status: str) -> None:
    for played in (sale("pending"), sale()):
        played.told("order_changed", order={"id": "77", "status": status})
        assert (played.state, played.letters[-1][1]) == ("cancelled", "order_cancelled")
        refunded = played.asked("send_email")[-1]["facts"]["refunded"]
        assert refunded == (status == "refunded")
    assert sale(status).letters == []


def test_what_is_not_shipped_or_does_not_arrive_is_looked_into() -> None:
    played = sale().waited(5 * DAY)
    assert (played.state, played.tasks[-1]) == ("checking", "check_order")
    assert played.decided("approved").state == "fulfilling"
    lost = sale().told("order_changed", order={"status": "completed"}).waited(14 * DAY)
    assert (lost.state, lost.tasks[-1]) == ("tracing", "trace_shipment")
    assert lost.told("shipment_updated", status="delivered").state == "delivered"


@pytest.mark.parametrize(
    ("outcome", "state"), [("approved", "returned"), ("rejected", "kept"), (None, "cancelled")]
)
def test_a_return_is_taken_back_by_people(outcome: str | None, state: str) -> None:
    played = sale().told("shipment_updated", status="delivered").told("return_requested")
    assert (played.state, played.tasks[-1]) == ("returning", "receive_return")
    if outcome:
        played.decided(outcome)
    else:
        played.waited(44 * DAY)
    assert played.state == state


def test_a_buyer_without_an_address_gets_the_work_and_no_letters() -> None:
    played = sale(contact={**BUYER, "email": None, "phone": "+19175550142"})
    played.told("shipment_updated", status="shipped").told("shipment_updated", status="delivered")
    played.waited(41 * DAY)
    assert (played.state, played.letters) == ("completed", [])


def test_who_asked_not_to_be_contacted_gets_no_thanks() -> None:
    played = sale(contact={**BUYER, "may_be_contacted": False})
    played.told("shipment_updated", status="delivered").waited(10 * DAY)
    assert [each for _, each in played.letters] == ["order_confirmation"]


# --- Tasks.

DUE = NOON + timedelta(days=2)
ROW = {
    "record_id": "t1", "task_id": "TASK-1", "name": "Call Ana", "status": "To Do",
    "priority": "Medium", "due": DUE.isoformat(), "overdue": False,
}  # fmt: skip


def task(row: Any = ROW, **settings: Any) -> Played:
    later = {**ROW, "status": "In Progress", "priority": "Urgent"}
    played = Played("task_management", {"create_task": row, "update_task": later})
    return played.start(settings, task={"task_name": "Call Ana"})


def test_a_task_is_told_of_reminded_of_and_done() -> None:
    played = task(assignee_email="bo@t7s.example")
    assert (played.state, len(played.letters)) == ("open", 1)
    played.waited(DAY)
    assert (played.state, len(played.letters)) == ("due", 2)
    played.told("task_completion", record="t1")
    assert (played.state, played.asked("announce")[0]["type"]) == ("done", "task_done")


def test_what_is_late_becomes_urgent_and_somebody_elses_business() -> None:
    played = task(escalate_to="owner@t7s.example").waited(2 * DAY)
    assert played.state == "late"
    assert played.asked("update_task")[0]["priority"] == "Urgent"
    assert played.letters == [("owner@t7s.example", "team_notice")]
    played.waited(DAY)
    assert len(played.letters) == 2
    assert played.waited(DAY).state == "abandoned"
    finished = task().waited(2 * DAY + HOUR).told("update_task_status", status="Done")
    assert finished.state == "done"


@pytest.mark.parametrize(("status", "state"), [("Cancelled", "cancelled"), ("On Hold", "open")])
def test_what_people_do_with_it_in_notion_comes_back(status: str, state: str) -> None:
    assert task().told("update_task_status", status=status).state == state


def test_a_task_that_cannot_be_made_is_refused_with_the_reason() -> None:
    played = task(Rejected("template: there is no task template 'cal'"))
    assert played.state == "refused"
    assert "no task template" in played.context["reason"]
