"""Seeing a workflow: pictures of definitions and runs, progress, and simulated runs. Pure.

mermaid(definition)                       # Mermaid text, for Notion and Markdown
svg(definition, run=run)                  # a picture of our own; `png` makes pixels of it
run = run_of(definition, snapshot, history)
svg(definition, statistics=statistics_of(runs))
gantt(run), gantt_mermaid(run)            # one run over time
progress(definition, snapshot, history, learnt=learn(runs))
outlook(simulate(definition, runs=1000))  # what is to be expected

`png` is imported by name, ``from higherself.workflow.view.png import png``: it loads a library.
"""

from higherself.workflow.view.chance import Constant, Distribution, Exponential, Sample
from higherself.workflow.view.gantt import gantt, gantt_mermaid
from higherself.workflow.view.graph import DEADLINE, START, EdgeKey
from higherself.workflow.view.heat import Numbers, Statistics, statistics_of
from higherself.workflow.view.learnt import Learnt, learn
from higherself.workflow.view.mermaid import mermaid
from higherself.workflow.view.outlook import outlook
from higherself.workflow.view.progress import Progress, progress
from higherself.workflow.view.run import Attempt, Run, Visit, run_of
from higherself.workflow.view.simulate import Simulation, simulate
from higherself.workflow.view.svg import svg
from higherself.workflow.view.theme import stylesheet

__all__ = [
    "DEADLINE",
    "START",
    "Attempt",
    "Constant",
    "Distribution",
    "EdgeKey",
    "Exponential",
    "Learnt",
    "Numbers",
    "Progress",
    "Run",
    "Sample",
    "Simulation",
    "Statistics",
    "Visit",
    "gantt",
    "gantt_mermaid",
    "learn",
    "mermaid",
    "outlook",
    "progress",
    "run_of",
    "simulate",
    "statistics_of",
    "stylesheet",
    "svg",
]
