"""Guards, value expressions and templates: a small bounded language over JSON. Pure.

The syntax is Python's; the meaning is not: only JSON values are seen, a dot is a key of an
object, a condition is true or false and nothing else, a missing field is an error unless asked
for with ``has()``, and every text that is accepted ends soon. ``docs/reference/guards.md`` is the
reference.

    guard = compile_guard("context.contact.score >= 70")
    guard({"context": {"contact": {"score": 71}}, "event": {}}, now)        # True
    guard.explain({"context": {"contact": {"score": 41}}}, now).why         # "false because ..."
    compile_value("context.score + 5")
    compile_template({"to": "{{ context.email }}", "subject": "Hello {{ context.name }}"})
"""

from higherself.workflow.guard.errors import (
    ExpressionFailed,
    ExpressionRejected,
    InvalidExpression,
)
from higherself.workflow.guard.explanation import Explanation, Part
from higherself.workflow.guard.expression import (
    Expression,
    Guard,
    compile_guard,
    compile_value,
)
from higherself.workflow.guard.fields import Fields, Read
from higherself.workflow.guard.overlap import Overlap, overlap
from higherself.workflow.guard.template import Template, TemplateRead, compile_template, render

__all__ = [
    "Explanation",
    "Expression",
    "ExpressionFailed",
    "ExpressionRejected",
    "Fields",
    "Guard",
    "InvalidExpression",
    "Overlap",
    "Part",
    "Read",
    "Template",
    "TemplateRead",
    "compile_guard",
    "compile_template",
    "compile_value",
    "overlap",
    "render",
]
