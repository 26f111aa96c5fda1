"""Language models: one port, with vendors behind it, and templates where no model can be asked.

    answer = await model.complete(tasks.answer("When are deposits due?", sources))

`model` has the values, `tasks` ready-made asks that templates can do, too, `asking` the one loop
that spends money: budgets, the circuit, retries and corrections.
"""

from higherself.agents.llm.errors import (
    AllowanceUsedUp,
    AskFailed,
    AskRejected,
    DayBudgetUsedUp,
    ModelMisconfigured,
    ModelPaused,
    ModelUnavailable,
    NoTemplate,
    OutputInvalid,
)
from higherself.agents.llm.model import Answer, Ask, Limits, Source, Tool, ToolCall
from higherself.agents.llm.ports import LanguageModel
from higherself.agents.llm.usage import UNLIMITED, Allowance, Price, Usage

__all__ = [
    "UNLIMITED",
    "Allowance",
    "AllowanceUsedUp",
    "Answer",
    "Ask",
    "AskFailed",
    "AskRejected",
    "DayBudgetUsedUp",
    "LanguageModel",
    "Limits",
    "ModelMisconfigured",
    "ModelPaused",
    "ModelUnavailable",
    "NoTemplate",
    "OutputInvalid",
    "Price",
    "Source",
    "Tool",
    "ToolCall",
    "Usage",
]
