"""The pictures in the documentation are those that are drawn now."""

from tests.workflow.view.pictures import FOLDER, pictures


def test_the_pictures_are_up_to_date() -> None:
    for name, text in pictures().items():
        written = (FOLDER / f"{name}.svg").read_text()
        assert written == text, f"{name} has changed: python -m tests.workflow.view.pictures"
