"""The flows: knowledge, collaboration, workflows, the templates, every webhook."""

import asyncio
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx

from higherself.flows.deliveries import SAMPLES, sample, signed
from higherself.flows.stage import BUSINESS, PATIENCE, SOON, Stage, expect, require
from higherself.kernel.jsonvalue import JsonObject
from higherself.knowledge.model import NewDocument
from higherself.services.human_task import Deciding, HumanTask
from higherself.services.outcomes import Outcome

BATH = (
    "# Community sound bath\n\n"
    "The community sound bath is on the first Sunday of the month at five in the Long Room. "
    "Seats are thirty dollars, and mats and blankets are there.\n\n"
    "## Before you come\n\nA sound bath lasts seventy minutes, and shoes stay at the door."
)
LINK = "https://the7space.example/visit"


async def knowledge(stage: Stage) -> None:
    """What is added is found with its source; an edit embeds what it changed; what is deleted is gone."""
    hub = stage.hs.knowledge
    first = _document("flow/bath", "Community sound bath", BATH)
    async with stage.step("A document is added"):
        done = await hub.add([first])
        require(done.created == 1 and done.embedded > 0, "one new document with embeddings")
    async with stage.step("The same again costs nothing"):
        again = await hub.add([first])
        expect((again.unchanged, again.embedded), (1, 0), "unchanged documents and embeddings")
    async with stage.step("A question is answered from it"):
        answer = await hub.search("When is the sound bath?", entity=BUSINESS, limit=3)
        require(answer.hits, "a hit")
        expect(answer.hits[0].document.title, "Community sound bath", "the first document")
        require("first Sunday" in answer.hits[0].chunk.text, "the day in the passage")
    async with stage.step("An edit is found at once"):
        changed = BATH.replace("thirty dollars", "forty dollars")
        done = await hub.add([_document("flow/bath", "Community sound bath", changed)])
        expect(done.updated, 1, "updated documents")
        answer = await hub.search("What does a seat cost?", entity=BUSINESS, limit=3)
        require(any("forty dollars" in hit.chunk.text for hit in answer.hits), "the new price")
    async with stage.step("Another business does not see it"):
        answer = await hub.search("When is the sound bath?", entity="am_consulting", limit=3)
        require(
            all(hit.document.entity == "am_consulting" for hit in answer.hits),
            "nothing of the other business",
        )


async def collaboration(stage: Stage) -> None:
    """Agents work together on a text, from the hub, and say where it is from."""
    await stage.hs.knowledge.add([_document("flow/bath", "Community sound bath", BATH)])
    correlation = f"flow-collaboration-{stage.mark}"
    stage.conversations.append(correlation)
    plan = {
        "name": "flow_text",
        "pattern": "chain",
        "steps": [
            {"role": "content_choreographer", "task": "content_draft"},
            {"role": "content_choreographer", "task": "content_review"},
        ],
    }
    async with stage.step("A draft is written and reviewed by agents"):
        begun = await stage.hs.collaborations.start(
            plan, {"topic": "community sound bath", "content_type": "blog_post"},
            entity=BUSINESS, correlation=correlation,
        )  # fmt: skip
        found = await stage.hs.collaborations.wait(begun, timeout=timedelta(seconds=60))
        expect(found.status, "completed", "the collaboration")
    async with stage.step("The draft rests on the hub, and is kept there"):
        answer = await stage.hs.knowledge.search("community sound bath", entity=BUSINESS, limit=5)
        kept = [hit for hit in answer.hits if hit.document.source.startswith("agent")]
        require(kept, "what the agent made among the documents")
    async with stage.step("An agent answers a question with its source"):
        reply = await stage.hs.agents.ask(
            "knowledge_request", {"query": "When is the community sound bath?"}, entity=BUSINESS
        )
        said: Any = reply.data
        require(said["confident"] and said["citations"], "a confident answer with citations")
        require("first Sunday" in said["answer"], "the day in the answer")


async def workflows(stage: Stage) -> None:
    """Branches side by side, a second try, a timer, an approval by role, an event that comes twice."""
    engine = stage.hs.workflows
    instance = await stage.start("flow_complex", "complex", name="a day in June")
    async with stage.step("Two branches end, one at its second try; then a timer"):
        context = await stage.until(instance, "deciding")
        expect(context["words"], {"words": 4}, "the result of a branch")
        expect(context["shaky"]["attempt"], 2, "the attempt that worked")
    async with stage.step("Who has not the role cannot approve"):
        try:
            await engine.approve(instance, by="bo", roles=["clerk"])
        except Exception as error:  # noqa: BLE001  its text is what is looked at
            require("owner" in str(error), f"an error that names the role, not {error}")
        else:
            require(False, "a refusal")
    async with stage.step("The owner approves"):
        await engine.approve(instance, by="ada", roles=["owner"])
        await stage.until(instance, "counting")
    async with stage.step("An event that comes twice counts once"):
        for number in (1, 2, 2, 3):
            await engine.send(instance, "one_more", {"number": number}, id=f"e{number}")
        context = await stage.until(instance, "done")
        expect((context["count"], context["sum"]), (3, 6), "events, and the sum of their numbers")


async def lead_nurturing(stage: Stage) -> None:
    """A lead arrives by webhook, is scored, written to with what the hub knows, and books."""
    await stage.hs.knowledge.add([_document("flow/bath", "Community sound bath", BATH)])
    await _set_up(
        stage, "lead_nurturing", booking_link=LINK, follow_up_days=[0], qualified_score=90
    )
    address = f"ana.{stage.mark}@example.org"
    async with stage.step("The website announces a lead by webhook"):
        delivery = await _lead(stage, address)
    async with stage.step("The lead is kept, and nurturing begins"):
        row = await stage.handled(delivery)
        expect(row["status"], "done", "the delivery")
        contact = await stage.hs.contacts.find(BUSINESS, email=address)
        require(contact is not None, "the contact")
        instance = await _begun(stage, delivery, "lead_nurturing")
    async with stage.step("A first letter, with a passage from the hub"):
        text = await stage.letter(address, "welcome")
        require(LINK in text, "the link to book")
        require("thirty dollars" in text, "a passage of the hub")
    async with stage.step("The lead is scored"):
        context = await stage.until(instance, "last_wait", "nurturing", "qualified", "calling")
        require(isinstance(context["score"], int | float), "a score")
    async with stage.step("The same form again starts nothing twice"):
        again = await stage.handled(await _lead(stage, address, form="again"))
        expect(again["status"], "done", "the delivery")
        known = await stage.hs.happenings.latest(entity=BUSINESS, type="new_lead", limit=1)
        expect(known[0]["status"], "duplicate", "the second lead")
    async with stage.step("They book, and are a client"):
        contact_data = {"email": address, "first_name": "Ana"}
        await stage.happens(
            "booking_created", "booking", contact=contact_data, booking={"id": "b1"}
        )
        await stage.until(instance, "won")
        contact = await stage.hs.contacts.find(BUSINESS, email=address)
        expect(contact and contact["status"], "Active Client", "the status of the contact")


async def drafted_and_submitted(stage: Stage, key: str) -> tuple[UUID, HumanTask]:
    """Have agents draft a text from the hub; return the instance, and the review it waits for."""
    await stage.hs.knowledge.add([_document("flow/bath", "Community sound bath", BATH)])
    context = {
        "topic": f"community sound bath {key} {stage.mark}",
        "settings": {"platforms": ["wordpress", "beehiiv"], "promote": False},
    }
    instance = await stage.start("content_creation_distribution", key, **context)
    async with stage.step("Agents draft it from the hub, and check it"):
        found = await stage.until(instance, "reviewing", "authoring")
        require(found["text"], "a text")
        expect(found["stage"], "review", "its stage")
    async with stage.step("It waits in the review queue for somebody who may approve"):
        review = await _asked(stage, "review", instance)
        expect(review.asked.roles, ("marketing", "owner"), "who may approve it")
    return instance, review


async def published(stage: Stage, found: Mapping[str, Any]) -> None:
    """Look whether what was approved is out, and known."""
    async with stage.step("It is published on every platform, each once"):
        states = {name: each["status"] for name, each in found["deliveries"].items()}
        expect(states, {"wordpress": "sent", "beehiiv": "sent"}, "the platforms")
    async with stage.step("The hub knows what was published"):
        query = f"{found['title']}: see you on Sunday"
        answer = await stage.hs.knowledge.search(query, entity=BUSINESS, limit=10)
        said = [each.chunk.text for each in answer.hits if each.document.title == found["title"]]
        require(any("See you on Sunday" in each for each in said), "the text as it was approved")


async def content(stage: Stage) -> None:
    """A text is researched, drafted, reviewed by a person, published; the hub knows it then."""
    instance, review = await drafted_and_submitted(stage, "content")
    async with stage.step("A person changes it and lets it go"):
        edited = f"{review.asked.text}\n\nSee you on Sunday."
        said = Deciding(decision="approved", by="ada", roles=["owner"], answer=edited)
        await stage.hs.human_tasks.decide(review.ticket, said)
        found = await stage.until(instance, "monitoring")
        expect(found["decision"]["by"], "ada", "who approved it")
    await published(stage, found)


async def events(stage: Stage) -> None:
    """A workshop with two places: registered, waiting, moved up; no double booking; feedback."""
    now = stage.hs.clock.now()
    starts, ends = now + timedelta(days=30), now + timedelta(days=30, hours=2)
    plan = {
        "title": f"Clay for beginners {stage.mark}", "description": "Two hours at the wheel",
        "starts_at": starts.isoformat(), "ends_at": ends.isoformat(),
        "venue": f"Studio {stage.mark}", "place": "The studio", "capacity": 2, "link": LINK,
    }  # fmt: skip
    people = [f"{name}.{stage.mark}@example.org" for name in ("ana", "bo", "cy")]
    instance = await stage.start("event_coordination", "event", plan=plan)
    engine = stage.hs.workflows
    async with stage.step("The owner says yes, and the venue is held"):
        await stage.until(instance, "approving")
        await engine.approve(instance, by="ada", roles=["owner"])
        found = await stage.until(instance, "registration")
        require(found["venue"]["held"], "the venue")
    async with stage.step("Two get places, the third waits"):
        for number, address in enumerate(people):
            contact = {"email": address, "first_name": address.split(".")[0].title()}
            await engine.send(
                instance, "registration_requested", {"contact": contact}, id=f"r{number}"
            )
        await stage.letter(people[0], "")
        await stage.letter(people[2], "")
        found = await _counted(stage, instance, registered=2, waiting=1)
        expect((found["attendance"]["registered"], found["attendance"]["waiting"]), (2, 1), "places and those who wait")  # fmt: skip
    async with stage.step("The venue is not given twice"):
        other = await stage.start(
            "event_coordination", "other", plan={**plan, "title": "Another"},
            settings={"needs_approval": False},
        )  # fmt: skip
        await stage.until(other, "double_booked")
    async with stage.step("Somebody cancels, and who waited moves up"):
        gone = {"contact": {"email": people[0]}}
        await engine.send(instance, "registration_cancelled", gone, id="c0")
        found = await _counted(stage, instance, registered=2, waiting=0)
        names = [each["email"] for each in found["attendance"]["roll"]["registered"]]
        expect(sorted(names), sorted(people[1:]), "who comes")
    async with stage.step("It takes place; who was there is asked how it was"):
        await engine.send(instance, "event_started", {}, id="s")
        await stage.until(instance, "running")
        await engine.send(instance, "event_finished", {}, id="f")
        await stage.until(instance, "collecting_feedback")
        feedback: JsonObject = {"feedback": {"id": "f1", "rating": 5, "text": "Lovely, thank you"}}
        await engine.send(instance, "feedback_received", feedback, id="fb")
        await engine.send(instance, "feedback_closed", {}, id="fc")
        await stage.until(instance, "archived")


async def support(stage: Stage) -> None:
    """A question is answered from the hub; what nobody knows goes to a person; a refund to the owner."""
    await stage.hs.knowledge.add([_document("flow/bath", "Community sound bath", BATH)])
    await _set_up(stage, "customer_support", refund_limit=100)
    address = f"bo.{stage.mark}@example.org"
    contact = {"email": address, "first_name": "Bo"}

    async def asks(id: str, text: str, **more: Any) -> UUID:
        request = {"id": id, "subject": f"Question {id}", "text": text, **more}
        outcome = await stage.happens("support_requested", id, contact=contact, request=request)
        return _started(outcome, "customer_support")

    async with stage.step("The hub answers, with its source"):
        known = await asks("s1", "When is the community sound bath?")
        found = await stage.until(known, "answered")
        require("first Sunday" in found["answer"], "the day")
        await stage.letter(address, "Question s1", "first Sunday")
    async with stage.step("What the hub does not know goes to a person, with the history"):
        unknown = await asks("s2", "Who founded the observatory on Mauna Kea?")
        await stage.until(unknown, "with_person")
        ticket = await _asked(stage, "escalation", unknown)
        details: Any = ticket.asked.details
        expect(details["contact"]["email"], address, "whom it is about")
        require(details["history"], "the history")
    async with stage.step("The person's answer goes out"):
        said = Deciding(decision="answered", by="ada", answer="Gerard Kuiper chose the place.")
        await stage.hs.human_tasks.decide(ticket.ticket, said)
        await stage.until(unknown, "answered")
        await stage.letter(address, "Question s2", "Kuiper")
    async with stage.step("A lawyer's letter is never answered by a machine"):
        legal = await asks("s3", "My lawyer says that you owe me an answer.")
        found = await stage.until(legal, "with_person")
        require(found["triage"]["must_escalate"], "that it must be seen by a person")
    async with stage.step("A refund over the limit waits for the owner"):
        costly = await asks("s4", "I want a refund of my course.", refund_amount=250)
        await stage.until(costly, "deciding_refund")
        await stage.hs.workflows.approve(costly, by="ada", roles=["owner"], comment="Agreed.")
        found = await stage.until(costly, "answered")
        expect(found["amount"], 250, "the amount")


async def webhooks(stage: Stage) -> None:
    """Every source: taken once if it is signed, handled in the background, refused if it is not."""
    for of in SAMPLES:
        async with stage.step(f"{of.of.title}: {of.file}"):
            arrived = signed(of, now=stage.hs.clock.now())
            answer = await stage.post(of, arrived)
            expect(answer.status_code, of.of.acknowledged, "the answer")
            delivery = answer.json()["data"]["delivery"]
            row = await stage.handled(delivery)
            if of.becomes:
                types = [each["type"] for each in row["decided"]["steps"]]
                expect((row["status"], types), ("done", list(of.becomes)), "what became of it")
            else:  # it is kept, and says what is missing; an operator has it handled again
                expect(row["status"], "failed", "what became of it")
                require("neither an e-mail address nor" in row["error"], "what is missing")
            again = await stage.post(of, arrived)
            expect(again.status_code, of.of.acknowledged, "the answer to the same again")
            expect(again.json()["data"]["delivery"], delivery, "the delivery of the same again")
    async with stage.step("What is not signed by us is refused"):
        for name in {of.source: of.file for of in SAMPLES}.values():
            answer = await stage.deliver(sample(name), secret="another-secret-of-somebody")  # noqa: S106
            expect(answer.status_code, httpx.codes.UNAUTHORIZED, f"the answer to {name}")


def _document(name: str, title: str, text: str) -> NewDocument:
    return NewDocument(external_id=name, title=title, text=text, entity=BUSINESS, source="flows")


async def _set_up(stage: Stage, workflow: str, **settings: Any) -> None:
    await stage.hs.setups.set_up(BUSINESS, workflow, settings, by="flows")


async def _lead(stage: Stage, address: str, *, form: str = "first") -> str:
    """Announce a lead as websites do that sign by Standard Webhooks, and return the delivery."""
    of = sample("generic_new_lead.json")
    said: dict[str, Any] = json.loads(of.body)
    said["data"]["contact"] = {"email": address, "first_name": "Ana", "last_name": "Ito"}
    said["data"]["lead"] = {"interests": ["sound bath"], "form": form}
    answer = await stage.deliver(of, json.dumps(said).encode())
    expect(answer.status_code, of.of.acknowledged, "the answer")
    return str(answer.json()["data"]["delivery"])


async def _begun(stage: Stage, delivery: str, workflow: str) -> UUID:
    """Return the instance that a delivery has started, by what it tells or what followed from that."""
    left = ""
    for row in await stage.hs.happenings.latest(entity=BUSINESS, limit=50):
        if row["correlation_id"] != delivery:
            continue
        outcome = await stage.hs.happenings.get(BUSINESS, row["id"])
        stage.instances += [each.instance for each in outcome.started]
        try:
            return _started(outcome, workflow)
        except LookupError as error:
            left = f"{row['type']}: {error}"
    raise LookupError(left or f"nothing followed from the delivery {delivery}")


def _started(outcome: Outcome, workflow: str) -> UUID:
    for each in outcome.started:
        if each.workflow == workflow:
            return each.instance
    left = "; ".join(each.reason for each in outcome.left if each.workflow == workflow)
    raise LookupError(f"{workflow} was not started{f': {left}' if left else ''}")


async def _asked(stage: Stage, kind: Any, instance: UUID) -> HumanTask:
    """Return what an instance asks people."""
    found = await stage.hs.human_tasks.list(kind, instance=instance, statuses=["open"])
    if not found:
        raise LookupError(f"{instance} asks nobody")
    return found[0]


async def _counted(stage: Stage, instance: UUID, *, registered: int, waiting: int) -> Any:
    """Wait until so many have places and wait; return what the instance knows."""
    async with asyncio.timeout(PATIENCE):
        while True:
            context = (await stage.hs.workflows.get(instance)).snapshot.context
            roll: Any = context["attendance"]
            if (roll["registered"], roll["waiting"]) == (registered, waiting):
                return context
            await stage.hs.clock.sleep(SOON)
