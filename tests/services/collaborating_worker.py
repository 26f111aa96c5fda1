"""A worker process with agents, to be killed: ``python collaborating_worker.py URL``."""

import asyncio
import sys
from datetime import timedelta

from higherself.db.pool import open_database
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.messaging.consumer import Consumer
from higherself.messaging.model import Message, RetryPolicy
from higherself.messaging.ports import Delivery, Subscription
from higherself.services.collaboration.collaborations import Collaborations
from higherself.services.collaboration.workflows import CollaboratingRunner
from higherself.workflow.engine.activities import ActivityCall, Ran
from higherself.workflow.engine.wiring import open_workflows
from higherself.workflow.engine.worker import Worker

POLICY = RetryPolicy(max_attempts=50, max_lapses=50, base=timedelta(milliseconds=50))
NAMES = ("ana", "bo", "cy")


async def no_skills(call: ActivityCall) -> Ran:
    raise AssertionError(call)


class NoSkills:
    run = staticmethod(no_skills)


async def main(url: str) -> None:
    async with (
        open_database(url, connections=6) as database,
        open_workflows(url, database) as workflows,
    ):
        outbox = workflows.channel.outbox
        collaborations = Collaborations(database, outbox, SYSTEM_CLOCK)

        def agent(name: str) -> Subscription:
            async def behave(delivery: Delivery) -> None:
                said = delivery.envelope
                async with delivery.once() as tx:
                    await tx.connection.execute(
                        "INSERT INTO test.done (collaboration, agent) VALUES (%s, %s)",
                        [said.subject, name],
                    )
                    answer = Message(
                        topic="collaboration",
                        type="answer",
                        source=f"urn:higherself:agent:{name}",
                        data=name,
                        entity=said.entity,
                    ).caused_by(said)
                    await outbox.publish(tx, answer)

            return Subscription(topic=f"agent.{name}", handler=behave, policy=POLICY)

        runner = CollaboratingRunner(NoSkills(), collaborations)
        worker = Worker(workflows.engine, runner, outbox, SYSTEM_CLOCK)
        consumer = Consumer(
            workflows.channel.store,
            *worker.subscriptions(concurrency=4),
            collaborations.subscription(concurrency=4),
            *(agent(name) for name in NAMES),
            clock=SYSTEM_CLOCK,
            lease=timedelta(seconds=1),
        )
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await consumer.run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
