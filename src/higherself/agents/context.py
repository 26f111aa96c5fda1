"""What an agent has while it handles a message: everything it may do goes through here.

So it is done in the agent's name, for the message's business, out of the message's budget, and
under keys that make it count once however often the message is tried.
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any, TypeVar
from uuid import UUID

from higherself.agents.conversations import Conversations
from higherself.agents.errors import NotHere, SkillNotAllowed
from higherself.agents.escalations import Escalations
from higherself.agents.llm.errors import AskFailed
from higherself.agents.llm.model import Answer, Ask, Tool
from higherself.agents.llm.ports import LanguageModel
from higherself.agents.llm.usage import Allowance
from higherself.agents.model import AgentCard, Citation, Severity, Task
from higherself.agents.ports import KnowledgeSearch, KnowledgeStore, Made, Passages, Skills
from higherself.agents.skills import Skill, SkillCall
from higherself.agents.skills.tools import tool_of
from higherself.agents.state import AgentState
from higherself.db.pool import BRIEF, Database, Transaction
from higherself.kernel.errors import Rejected
from higherself.kernel.jsonvalue import JsonValue
from higherself.messaging.bus import Bus, Receipt
from higherself.messaging.model import DONE, Done
from higherself.messaging.ports import Delivery
from higherself.messaging.protocol import PERFORMATIVE, REPLY_TO, REQUEST, TRACE

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What all agents of a process share. What is None is not to be had here."""

    database: Database
    bus: Bus
    conversations: Conversations
    escalations: Escalations
    skills: Skills | None = None
    search: KnowledgeSearch | None = None
    store: KnowledgeStore | None = None
    model: Callable[[], LanguageModel] | None = None
    catalogue: Mapping[str, Skill] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class AgentContext:
    """What one agent has for one message."""

    card: AgentCard
    task: Task
    bus: Bus
    delivery: Delivery
    around: Surroundings = field(repr=False)
    citations: list[Citation] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    _done: Counter[str] = field(default_factory=Counter)

    @property
    def state(self) -> AgentState:
        """What the agent keeps in mind about the message's subject (or conversation, without one).

        Of another subject: ``context.state.about("contact:7")``.
        """
        subject = self.task.subject or self.task.conversation
        return AgentState(self.around.database, self.card.name, self.task.entity, subject)

    @asynccontextmanager
    async def once(self) -> AsyncIterator[Transaction]:
        """Run the block in a transaction whose effects count once, and which ends the message.

        Everything that takes ``tx`` can be part of it: state, `answer`, `escalate`, `hand_off`, and
        with ``context.bus.within(tx)`` whatever is sent. Do what takes long before it.

        Raises
            LeaseLost: the message was taken from us meanwhile; nothing was stored.
        """
        async with self.delivery.once() as tx:
            yield tx

    async def answer(self, tx: Transaction, data: JsonValue) -> None:
        """Answer the message in a transaction of `once`. Return the same ``data`` afterwards.

        Without it, an answer goes out after the transaction, and is lost if the process dies between.
        """
        await self.bus.within(tx).reply(self.task.envelope, data)

    async def skill(self, name: str, /, **given: JsonValue) -> JsonValue:
        """Run a skill in the agent's name, and return what it makes of ``given``.

        Raises
            SkillNotAllowed: the card names the skills it may use, and not this one.
            SkillUnknown, InputRejected: nothing was done.
            Exception: whatever the skill raises.
        """
        plain = name.partition("@")[0]  # without its version
        if self.card.skills and not any(fnmatchcase(plain, each) for each in self.card.skills):
            raise SkillNotAllowed(self.card.name, name, self.card.skills)
        if self.around.skills is None:
            raise NotHere("running skills")
        trace = self.task.envelope.extensions.get(TRACE)
        call = SkillCall(
            key=self._key("skill", name),
            attempt=self.task.attempt,
            entity=self.task.entity or "default",
            agent=self.card.name,
            allowed=self.card.skills,
            correlation=self.task.conversation,
            traceparent=trace if isinstance(trace, str) else None,
        )
        return await self.around.skills.run(name, given, call)

    def tools(self, *names: str) -> tuple[Tool, ...]:
        """Return skills as tools that a model may call while it works on an `Ask`.

        They run as `skill` does: in the agent's name, and none that its card does not allow. Those that
        change something do not run once the model has read what others wrote.

        Raises
            SkillNotAllowed: the card does not name it. NotHere: it is not installed.
        """
        made = []
        for name in names:
            if self.card.skills and not any(fnmatchcase(name, each) for each in self.card.skills):
                raise SkillNotAllowed(self.card.name, name, self.card.skills)
            if name not in self.around.catalogue:
                raise NotHere(f"the skill {name}")
            made.append(tool_of(self.around.catalogue[name], self.skill))
        return tuple(made)

    async def search(
        self,
        query: str,
        *,
        limit: int = 5,
        sources: Sequence[str] = (),
        tags: Sequence[str] = (),
    ) -> Passages:
        """Return what the business of the message knows about ``query``; it is kept as cited.

        What is found was written by others: it is data, and ``text`` of the result has it marked as
        such for a language model.

        Raises
            Rejected: the message belongs to no business.
        """
        if self.around.search is None:
            raise NotHere("searching the knowledge of the business")
        found = await self.around.search.search(
            query,
            entity=self._business("search"),
            limit=limit,
            sources=sources,
            tags=tags,
            first=len(self.citations) + 1,
        )
        self.citations += found.citations
        await self.around.conversations.cite(self.task, self.card.name, found.citations)
        return found

    def with_citations(
        self, data: Mapping[str, JsonValue], *, numbers: Sequence[int] | None = None
    ) -> dict[str, JsonValue]:
        """Return ``data`` with what was cited beside it: all of it, or those ``numbers``."""
        used = [each for each in self.citations if numbers is None or each.number in numbers]
        return {**data, "citations": [each.to_json() for each in used]}

    async def remember(
        self,
        title: str,
        text: str,
        *,
        name: str | None = None,
        tags: Sequence[str] = (),
        numbers: Sequence[int] | None = None,
        metadata: Mapping[str, JsonValue] | None = None,
    ) -> UUID:
        """Make a text of the agent a document of the business, and return its identifier.

        It is embedded as all documents are, and says how it came about: by which agent, for which
        message, with which model, from what (all that was cited, or those ``numbers``). A retry
        replaces it. ``name`` names it at its source, so that a later message can replace it too.

        Raises
            Rejected: it cannot be taken in, or the message belongs to no business.
        """
        if self.around.store is None:
            raise NotHere("keeping texts in the knowledge of the business")
        own = name or self._key("remember")
        used = [
            each
            for each in self.citations
            if (numbers is None or each.number in numbers) and each.name != own  # of an earlier try
        ]
        return await self.around.store.remember(
            Made(
                entity=self._business("remember"),
                agent=self.card.name,
                name=own,
                title=title,
                text=text,
                tags=tuple(tags),
                local_only=any(each.local_only for each in used),
                provenance={
                    **(metadata or {}),
                    "agent": self.card.name,
                    "agent_version": self.card.version,
                    "conversation": self.task.conversation,
                    "message": self.task.key,
                    "message_type": self.task.type,
                    "models": list(dict.fromkeys(self.models)),
                    "cited": [{"document": str(c.document), "chunk": c.chunk} for c in used],
                },
            )
        )

    async def ask(self, ask: Ask[T]) -> Answer[T]:
        """Ask the language model, on the budget of the message and of its business.

        Raises
            AskFailed: there is no answer; see `agents.llm.errors`.
        """
        if self.around.model is None:
            raise NotHere("a language model")
        left = self.bus.purse.left
        allowed = Allowance(tokens=left.tokens, micro_usd=left.micro_usd)
        asked = replace(
            ask,
            entity=self.task.entity or "default",
            agent=self.card.name,
            left=allowed.within(ask.left),
        )
        try:
            answer = await self.around.model().complete(asked)
        except AskFailed as failed:
            self.bus.spend(micro_usd=failed.usage.micro_usd, tokens=failed.usage.tokens)
            raise
        self.bus.spend(micro_usd=answer.usage.micro_usd, tokens=answer.usage.tokens)
        self.models.append(answer.model)
        return answer

    async def delegate(
        self,
        to: str,
        type_: str,
        data: JsonValue = None,
        *,
        key: str | None = None,
        reply: bool = False,
        tx: Transaction | None = None,
        **more: Any,
    ) -> Receipt:
        """Give work to another agent (``agent:solari``, ``capability:booking``); do not wait for it.

        It counts once, however often this message is tried. ``reply``: what comes of it is sent to
        this agent, as a message ``TYPE.response``, in the same conversation. To wait for it here,
        use ``context.bus.request``.

        Raises
            UnknownRecipient, ...: see `Bus.send`.
        """
        bus = self.bus if tx is None else self.bus.within(tx)
        return await bus.send(
            to,
            type_,
            data,
            idempotency_key=self._key("delegate", key),
            reply_to=f"agent:{self.card.name}" if reply else None,
            performative="request" if reply else "inform",
            **more,
        )

    async def hand_off(
        self,
        to: str,
        reason: str,
        *,
        data: JsonValue = None,
        type_: str | None = None,
        tx: Transaction | None = None,
    ) -> JsonValue | Done:
        """Give the whole conversation to another agent by name; return what this returns.

        The message (or ``data`` in its place) goes to it, and so does every later one of the
        conversation. Whoever waits for an answer gets that of the other agent. It is one
        transaction with the end of this message; who had the conversation before is kept.

        Raises
            NotOwner: another agent has the conversation by now.
            UnknownRecipient: there is no such agent.
        """
        envelope = self.task.envelope
        if to == self.card.name:
            raise Rejected(f"{to} cannot hand a conversation to itself")
        await self.bus.exchange.book.find(self.task.entity, name=to)
        given = envelope.data if data is None else data
        more: dict[str, Any] = {
            "subject": envelope.subject,
            "extensions": {"handedby": self.card.name, "handedwhy": reason[:500]},
        }
        direct = REPLY_TO not in envelope.extensions and self.delivery.message.lease == 0
        if direct and envelope.extensions.get(PERFORMATIVE) == "request":
            # Who asked waits on a direct road, and hears nobody but us.
            async with self.once() as own:
                await self._handed(own, to, reason)
            wait = self._left_to_answer()
            reply = await self.bus.request(
                f"agent:{to}", type_ or envelope.type, given, timeout=wait, **more
            )
            return reply.data
        back = envelope.extensions.get(REPLY_TO)
        async with self.once() if tx is None else nullcontext(tx) as own:
            await self._handed(own, to, reason)
            await self.bus.within(own).send(
                f"agent:{to}",
                type_ or envelope.type,
                given,
                partition_key=envelope.partition_key,
                expires=envelope.expires_at,
                reply_to=f"topic:{back}" if isinstance(back, str) else None,
                request=str(envelope.extensions.get(REQUEST, envelope.id)) if back else None,
                performative="request" if back else "inform",
                idempotency_key=self._key("handoff", to),
                **more,
            )
        return DONE

    async def escalate(
        self,
        reason: str,
        *,
        severity: Severity = 1,
        attempts: Sequence[str] = (),
        details: JsonValue = None,
        assignee: str | None = None,
        key: str | None = None,
        tx: Transaction | None = None,
    ) -> str:
        """Ask a person, and return the ticket (``ESC-`` and 8 characters).

        ``attempts`` says what was tried already. The answer comes to the agent that has the
        conversation by then, as a message ``escalation.answered``: see `Agent.on_answer`. A retry
        asks once.

        Raises
            Rejected: there is no reason, or no such severity.
        """
        own = self.around.database.transaction(entity=self.task.entity, settings=BRIEF)
        async with own if tx is None else nullcontext(tx) as tx:
            return await self.around.escalations.open(
                tx,
                self.task,
                self.card.name,
                reason,
                key=self._key("escalate", key),
                severity=severity,
                attempts=attempts,
                details=details,
                assignee=assignee,
            )

    async def _handed(self, tx: Transaction, to: str, reason: str) -> None:
        await self.around.conversations.hand_on(
            tx, self.task, from_agent=self.card.name, to_agent=to, reason=reason
        )

    def _left_to_answer(self) -> timedelta:
        expires_at = self.task.envelope.expires_at
        if expires_at is None:
            return timedelta(seconds=60)
        return expires_at - self.bus.exchange.clock.now()

    def _business(self, what: str) -> str:
        if self.task.entity is None:
            raise Rejected(
                f"a message {self.task.type!r} of no business has no knowledge to {what}; send it "
                "with entity="
            )
        return self.task.entity

    def _key(self, kind: str, name: str | None = None) -> str:
        """Return a key that is the same on every attempt, if things are done in the same order."""
        counted = f"{kind}/{name}" if name else kind
        self._done[counted] += 1
        which = "" if self._done[counted] == 1 else f"/{self._done[counted]}"
        return f"{self.task.key}/{self.card.name}/{counted}{which}"
