"""The skills of the workflow beside this file. They write into a file instead of sending mail."""

from pathlib import Path

from higherself import SkillCall, skill
from higherself.errors import Rejected

MOST_PERCENT = 50


@skill(description="Append a line to a file", irreversible=True)
def record(path: str, line: str, call: SkillCall) -> dict[str, int]:
    """Append a line, once: whoever tries again does so with the same key."""
    file = Path(path)
    lines = file.read_text("utf-8").splitlines() if file.exists() else []
    if not any(known.startswith(call.key) for known in lines):
        lines.append(f"{call.key}: {line}")
        file.write_text("\n".join(lines) + "\n", "utf-8")
        call.log.info("example.line.recorded", lines=len(lines))
    return {"lines": len(lines)}


@skill
def make_voucher(guest: str, percent: int) -> dict[str, str]:
    """Make a voucher for a guest."""
    if percent > MOST_PERCENT:
        raise Rejected(f"a voucher of {percent} percent is not allowed; {MOST_PERCENT} is the most")
    return {"text": f"A voucher of {percent} percent awaits you.", "guest": guest}
