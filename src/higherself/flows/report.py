"""How flows went, to look at: a page of its own, and what test servers read."""

from functools import cache
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from jinja2 import Environment, PackageLoader, StrictUndefined

from higherself.flows.model import Past, Run
from higherself.flows.pictures import bars, sequence, strip


def page_of(run: Run) -> str:
    """Return a page that needs nothing else, with a picture of each flow."""
    template = _environment().get_template("report.html")
    this = Past(run.at, {each.name: each.passed for each in run.results})
    seen = [*run.history, this]
    return template.render(run=run, seen=seen, bars=bars, sequence=sequence, strip=strip)


def junit_of(run: Run) -> str:
    """Return the same as JUnit XML: a suite for each flow, a case for each step."""
    failures = sum(not step.passed for each in run.results for step in each.steps)
    cases = sum(len(each.steps) for each in run.results)
    root = Element(
        "testsuites",
        name="flows",
        tests=str(cases),
        failures=str(failures),
        errors="0",
        time=f"{run.seconds:.3f}",
    )
    for each in run.results:
        suite = SubElement(
            root,
            "testsuite",
            name=each.name,
            tests=str(len(each.steps)),
            failures=str(sum(not step.passed for step in each.steps)),
            errors="0",
            skipped="0",
            time=f"{each.seconds:.3f}",
            timestamp=run.at.isoformat(timespec="seconds"),
        )
        for step in each.steps:
            case = SubElement(
                suite,
                "testcase",
                classname=f"flows.{each.name}",
                name=step.name,
                time=f"{step.seconds:.3f}",
            )
            if not step.passed:
                SubElement(case, "failure", message=_written(step.detail)).text = _written(
                    step.detail
                )
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _written(text: str) -> str:
    """Return a text without what XML has no place for."""
    return "".join(each if each >= " " or each in "\n\t" else "?" for each in text)


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("higherself.flows"), autoescape=True, undefined=StrictUndefined
    )
