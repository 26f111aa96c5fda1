"""The one loop that asks a model: budgets, the circuit, retries, corrections and tools.

Whatever a model says, three things can come of it: an output of the declared type, a call of a
tool that the ask has, with input that fits, and another request within the limits. Once the model
was shown a text that is not the business's own, only tools that are harmless run.
"""

import asyncio
import json
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from higherself.agents.llm.errors import (
    AllowanceUsedUp,
    AskFailed,
    AskRejected,
    DayBudgetUsedUp,
    ModelPaused,
    ModelUnavailable,
    OutputInvalid,
)
from higherself.agents.llm.marking import instructed, marked_result, told
from higherself.agents.llm.model import OUTPUT, Answer, Ask, Tool, ToolCall
from higherself.agents.llm.ports import (
    Call,
    Endpoint,
    Exchange,
    Offer,
    Reply,
    Reservation,
    Returned,
    SpendingLedger,
    Told,
)
from higherself.agents.llm.usage import NOTHING, Allowance, Usage, dollars, estimated, priced
from higherself.kernel import breaker, telemetry
from higherself.kernel.backoff import exponential
from higherself.kernel.clock import Clock
from higherself.kernel.errors import HigherSelfError, NotFound, Rejected

T = TypeVar("T")

BASE = timedelta(seconds=1)
CEILING = timedelta(seconds=20)
NO_OUTPUT = f"Give the result by calling {OUTPUT}, once, with nothing besides."
NO_TEXT = "The answer is empty. Answer in words."
LONGEST_PROBLEMS = 1_000

DayLimit = Callable[[str], Allowance]
"""What a business may spend on one day."""


class AskedModel:
    """A `LanguageModel` behind an endpoint. Its circuit is that of this process."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        ledger: SpendingLedger,
        day_limit: DayLimit,
        clock: Clock,
        policy: breaker.BreakerPolicy | None = None,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.endpoint = endpoint
        self.ledger = ledger
        self.day_limit = day_limit
        self.clock = clock
        self.policy = policy or breaker.BreakerPolicy()
        self.circuit = breaker.CLOSED
        self.last_error: str | None = None
        self.draw = draw

    @property
    def name(self) -> str:
        """What it is called."""
        return self.endpoint.name

    async def complete(self, ask: Ask[T]) -> Answer[T]:
        """Return the answer, whose output is of the type that ``ask`` declares.

        Raises
            AskFailed: there is none; see `errors` for why, by family, and what was spent.
            Exception: whatever a tool raises, but `Rejected` and `NotFound`, which the model is told.
        """
        for number, source in enumerate(ask.sources, start=1):
            if source.local_only and not self.endpoint.on_machine:
                raise AskRejected(
                    f"source {number} is local only, and {self.name} is not on this machine"
                )
        await self.endpoint.open()
        asking = _Asking(self, ask)
        try:
            return await asking.answer()
        except AskFailed as error:
            error.usage = asking.usage
            raise

    def failed(self, error: ModelUnavailable) -> None:
        """Note that a request failed."""
        self.last_error = str(error)
        failure = breaker.Failed(refused=error.permanent, retry_after=error.retry_after)
        self.circuit = breaker.failed(
            self.circuit, self.clock.now(), self.policy, failure, jitter=self.draw() / 2
        )


@dataclass(slots=True)
class _Asking(Generic[T]):
    """One ask under way: what was said so far, and what it took."""

    model: AskedModel
    ask: Ask[T]
    turns: list[Told | Reply] = field(default_factory=list)
    usage: Usage = NOTHING
    attempts: int = 0
    corrections: int = 0
    calls: list[ToolCall] = field(default_factory=list)
    tainted: bool = False
    until: float = 0.0

    async def answer(self) -> Answer[T]:
        self.tainted = self.ask.tainted
        self.until = self.model.clock.monotonic() + self.ask.limits.time.total_seconds()
        self.turns = [Told(told(self.ask))]
        rounds = 0
        while True:
            reply = await self._reply()
            if reply.cut:
                raise OutputInvalid(
                    self.model.name,
                    self.attempts,
                    f"it was cut after {self.ask.limits.output_tokens} tokens; allow more as "
                    "limits.output_tokens",
                )
            output, problem = self._output(reply)
            if problem is None:
                assert output is not None  # noqa: S101  there is one or the other
                return self._answered(output, reply)
            called = [call for call in reply.calls if not self._takes_output(call)]
            if called and not any(map(self._takes_output, reply.calls)):
                rounds += 1
                if rounds > self.ask.limits.rounds:
                    raise OutputInvalid(
                        self.model.name, self.attempts, f"it called tools in {rounds} rounds"
                    )
                results = tuple([await self._called(call) for call in called])
                next_turn = Told(results=results)
            else:
                next_turn = self._correction(reply, problem)
            self.turns += [reply, next_turn]

    def _answered(self, output: T, reply: Reply) -> Answer[T]:
        self._skip([call for call in reply.calls if not self._takes_output(call)])
        return Answer(
            output=output,
            model=f"{self.model.name.partition(':')[0]}:{reply.model}",
            usage=self.usage,
            attempts=self.attempts,
            calls=tuple(self.calls),
        )

    def _skip(self, calls: list[Call]) -> None:
        self.calls += [ToolCall(call.name, "the output was there already") for call in calls]

    def _takes_output(self, call: Call) -> bool:
        return call.name == OUTPUT and self.ask.model is not None

    def _output(self, reply: Reply) -> tuple[T | None, str | None]:
        """Return the output that a reply holds, or what is wrong with it."""
        if self.ask.model is None:
            text: Any = reply.text.strip()
            if reply.calls or not text:
                return None, NO_TEXT
            problem = self._checked(text)
            return (text, None) if problem is None else (None, problem)
        given = [call.arguments for call in reply.calls if self._takes_output(call)]
        if not given and not reply.calls and (written := _json_in(reply.text)) is not None:
            given = [written]
        if not given:
            return None, NO_OUTPUT
        return self._parsed(self.ask.model, given[0])

    def _parsed(self, model: type[BaseModel], written: str) -> tuple[T | None, str | None]:
        try:
            output: Any = model.model_validate_json(written)
        except ValidationError as error:
            return None, _problems(error)
        problem = self._checked(output)
        return (output, None) if problem is None else (None, problem)

    def _checked(self, output: Any) -> str | None:
        return None if self.ask.check is None else self.ask.check(output)

    def _correction(self, reply: Reply, problem: str) -> Told:
        """Return what the model is told of its output.

        Raises
            OutputInvalid: it was told so often enough.
        """
        self.corrections += 1
        if self.corrections > self.ask.limits.corrections:
            raise OutputInvalid(self.model.name, self.attempts, problem)
        telemetry.count("agents.model.output_corrected", model=self.model.name)
        if not reply.calls:
            return Told(problem)
        skipped = "It was not run: the output was given."
        self._skip([call for call in reply.calls if not self._takes_output(call)])
        return Told(
            results=tuple(
                Returned(call, problem if self._takes_output(call) else skipped, failed=True)
                for call in reply.calls
            )
        )

    async def _called(self, call: Call) -> Returned:
        """Run the tool that ``call`` names, if there is one and it may; return what comes of it."""
        tool = next((tool for tool in self.ask.tools if tool.name == call.name), None)
        if tool is None:
            return self._refused(call, "there is no such tool")
        if self.tainted and not tool.harmless:
            return self._refused(call, "texts of others were read, so only reading is allowed")
        try:
            given = tool.input.model_validate_json(call.arguments or "{}")
        except ValidationError as error:
            return self._refused(call, f"the input does not fit: {_problems(error)}")
        self.calls.append(ToolCall(tool.name))
        return await self._ran(tool, call, given)

    async def _ran(self, tool: Tool, call: Call, given: BaseModel) -> Returned:
        self.tainted = self.tainted or not tool.own
        try:
            return Returned(call, marked_result(tool.name, await tool.run(given)))
        except (Rejected, NotFound) as error:
            return Returned(call, marked_result(tool.name, str(error)), failed=True)

    def _refused(self, call: Call, why: str) -> Returned:
        # Its name is the model's own word, so it is no label: they have few values.
        telemetry.count("agents.model.call_refused", model=self.model.name)
        self.calls.append(ToolCall(call.name, why))
        return Returned(call, f"It was not run: {why}.", failed=True)

    async def _reply(self) -> Reply:
        """Return the reply to what was said so far, asked for again while that makes sense."""
        exchange = self._exchange()
        clock, limits = self.model.clock, self.ask.limits
        failures = 0
        while True:
            left = timedelta(seconds=self.until - clock.monotonic())
            if left <= timedelta(0):
                raise ModelUnavailable(
                    f"{self.model.name} was asked for {limits.time.total_seconds():g} s, which "
                    "is all there is",
                    timed_out=True,
                )
            try:
                return await self._requested(exchange, min(left, limits.one_try))
            except ModelPaused:
                raise
            except ModelUnavailable as error:
                failures += 1
                wait = exponential(
                    failures, base=BASE, ceiling=CEILING, jitter=self.model.draw() / 2
                )
                wait = max(wait, error.retry_after or wait)
                if (
                    error.permanent
                    or failures >= limits.tries
                    or clock.monotonic() + wait.total_seconds() >= self.until
                    or not self.model.circuit.admits(clock.now() + wait)
                ):
                    raise
                await clock.sleep(wait)

    def _exchange(self) -> Exchange:
        ask = self.ask
        output = None
        if ask.model is not None:
            schema = ask.model.model_json_schema()
            output = Offer(
                name=OUTPUT, description="Takes the result. Call it once.", schema=schema
            )
        return Exchange(
            instructions=instructed(ask),
            turns=tuple(self.turns),
            tools=tuple(
                Offer(
                    name=tool.name,
                    description=tool.description,
                    schema=tool.input.model_json_schema(),
                )
                for tool in ask.tools
            ),
            output=output,
            output_tokens=ask.limits.output_tokens,
        )

    async def _requested(self, exchange: Exchange, within: timedelta) -> Reply:
        """Send one request, if there is money for it and the vendor is not left alone."""
        model = self.model
        reservation = await self._reserved(exchange)
        model.circuit = breaker.admitted(model.circuit, model.clock.now(), model.policy)
        self.attempts += 1
        telemetry.count("agents.model.requests", model=model.name)
        try:
            with telemetry.timed("agents.model.request", model=model.name):
                reply = await _in_time(model.endpoint.post(exchange), within, name=model.name)
        except AskFailed as error:
            unknown = isinstance(error, ModelUnavailable) and error.spent
            await self._settle(reservation, reservation.need if unknown else ONE, failed=True)
            if isinstance(error, ModelUnavailable):
                model.failed(error)
            else:
                model.circuit = breaker.succeeded(model.circuit, model.clock.now())
            telemetry.count("agents.model.failures", model=model.name)
            raise
        except BaseException:
            # What was set aside stays so, and counts: the vendor may have worked on it.
            self.usage += reservation.need
            model.circuit = breaker.released(model.circuit)
            raise
        model.circuit = breaker.succeeded(model.circuit, model.clock.now())
        # Some servers do not say what they used; then it is what was set aside.
        said = priced(reply.usage, model.endpoint.price) if reply.usage.tokens else reservation.need
        await self._settle(reservation, said, failed=False)
        return reply

    async def _reserved(self, exchange: Exchange) -> Reservation:
        """Set aside what a request may cost.

        Raises
            AskRejected, AllowanceUsedUp, DayBudgetUsedUp, ModelPaused: nothing may be sent, and why.
        """
        model, ask = self.model, self.ask
        need = estimated(exchange.size, exchange.output_tokens, model.endpoint.price)
        if need.input_tokens > ask.limits.input_tokens:
            raise AskRejected(
                f"what is asked has about {need.input_tokens:,} tokens, and limits.input_tokens "
                f"is {ask.limits.input_tokens:,}; give fewer or shorter sources"
            )
        if lack := ask.limits.allowance.left(self.usage).lacks(need):
            raise AllowanceUsedUp(f"the allowance of this ask does not suffice: {lack}")
        if lack := ask.left.left(self.usage).lacks(need):
            raise AllowanceUsedUp(f"the budget of this conversation does not suffice: {lack}")
        now = model.clock.now()
        if not model.circuit.admits(now):
            waits = model.circuit.admits_at(now) - now
            raise ModelPaused(
                f"{model.name} is left alone for another {waits.total_seconds():.0f} s, because "
                f"it failed: {model.last_error}",
                retry_after=waits,
            )
        limit = model.day_limit(ask.entity)
        found = await model.ledger.reserve(ask.entity, now.date(), model.name, need, limit)
        if isinstance(found, Reservation):
            return found
        tomorrow = datetime.combine(now.date() + timedelta(days=1), time(), UTC)
        raise DayBudgetUsedUp(
            ask.entity,
            f"the budget of {ask.entity} for today does not suffice: {found.lacks(need)}; it is "
            "renewed at midnight UTC, and HIGHERSELF_LLM_DAILY_USD and _TOKENS raise it",
            retry_after=tomorrow - now,
        )

    async def _settle(self, reservation: Reservation, used: Usage, *, failed: bool) -> None:
        self.usage += used
        telemetry.count("agents.model.tokens", used.tokens, model=self.model.name)
        telemetry.count("agents.model.micro_usd", used.micro_usd, model=self.model.name)
        try:
            await self.model.ledger.settle(reservation, used, failed=failed)
        except HigherSelfError as error:
            # The answer is there and paid for; what was set aside stays so, and counts.
            telemetry.warning(
                "agents.model.not_settled",
                entity=reservation.entity,
                reserved=dollars(reservation.need.micro_usd),
                reason=str(error),
            )


ONE = Usage(requests=1)
"""What a request used that the vendor refused."""


async def _in_time(answer: Any, within: timedelta, *, name: str) -> Reply:
    seconds = within.total_seconds()
    try:
        async with asyncio.timeout(seconds):
            reply: Reply = await answer
            return reply
    except TimeoutError as error:
        raise ModelUnavailable(
            f"{name} did not answer within {seconds:.3g} s", timed_out=True, spent=True
        ) from error


def _problems(error: ValidationError) -> str:
    """Return what is wrong, by field, without repeating what was given."""
    told = [
        f"{'.'.join(str(part) for part in each['loc']) or 'the whole'}: {each['msg']}"
        for each in error.errors(include_url=False, include_input=False, include_context=False)
    ]
    return "; ".join(told)[:LONGEST_PROBLEMS]


def _json_in(text: str) -> str | None:
    r"""Return the JSON object that is all of a text, but for a fence around it.

    Models behind servers that cannot force a call write it so.

    >>> _json_in('```json\n{"a": 1}\n```')
    '{"a": 1}'
    """
    written = text.strip()
    if written.startswith("```"):
        written = written.removeprefix("```").removeprefix("json").removesuffix("```").strip()
    with suppress(ValueError, RecursionError):
        if isinstance(json.loads(written), dict):
            return written
    return None
