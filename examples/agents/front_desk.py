"""Two agents: one answers guests from what the business knows, the other one takes bookings.

Point HIGHERSELF_EXTENSIONS at this folder, and run ``higherself worker``.
"""

from typing import Any

from higherself import Agent, AgentCard, AgentContext, Task, agent, handles
from higherself.agents.llm import tasks

ROOMS = 2


class FrontDesk(Agent):
    """Answers guests; what it does not know, it asks a person, and knows it from then on."""

    card = AgentCard(
        name="front_desk",
        role="guest_service",
        capabilities=("guest_questions",),
        description="Answers guests from the documents of the business",
        voice="warm and clear",
    )

    @handles("question.asked")
    async def answer(self, task: Task, context: AgentContext) -> Any:
        """Answer from the documents, with what was used; or ask a person."""
        question = str(task["question"])
        found = await context.search(question, limit=3)
        answer = await context.ask(tasks.answer(question, found.sources))
        if not answer.output.found:
            reason = "A guest asks what no document says"
            return {"ticket": await context.escalate(reason, details={"question": question})}
        said = {"answer": answer.output.text}
        return context.with_citations(said, numbers=answer.output.sources)

    @handles("question.booking")
    async def booking(self, task: Task, context: AgentContext) -> Any:
        """Leave the conversation to the one who takes bookings."""
        return await context.hand_off("bookings", "it is a booking", type_="booking.wanted")

    async def on_answer(self, task: Task, context: AgentContext) -> Any:
        """Keep what a person answered: the next guest gets it from the documents."""
        question = str(task["details"]["question"])
        await context.remember(question, f"{question} {task['answer']}", name=question)
        return {"answer": task["answer"]}


@agent(name="bookings", accepts=["booking.*"], capabilities=["booking"])
async def bookings(task: Task, context: AgentContext) -> Any:
    """Books rooms, as many as there are on a day."""
    day = context.state.about(f"day:{task['day']}")
    kept = await day.read()
    taken = int(kept.value or 0)
    if taken == ROOMS:
        return {"booked": False, "left": 0}
    done = {"booked": True, "left": ROOMS - taken - 1}
    async with context.once() as tx:  # the room and the answer: both, or none
        await day.write(taken + 1, expected=kept.version, tx=tx)
        await context.answer(tx, done)
    return done
