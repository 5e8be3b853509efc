"""`chatctl report ...`: its command line."""

from __future__ import annotations

from typing import Any

from chatd.ctl.verbs import Do, add_noun


def add_report_commands(commands: Any, do: Do) -> None:
    """Put `report` and its verbs into the parser of the command line."""
    verb = add_noun(commands, "report", "what people report: list, show, delete", "number", "as `report list` shows it")
    verb("list", "list what people have reported, the newest first", lambda arguments: do(arguments, "report list", {}))
    verb("show", "show a report with the messages it is about", lambda arguments: do(
        arguments, "report show", {"number": arguments.number}))
    verb("delete", "forget a report", lambda arguments: do(arguments, "report delete", {"number": arguments.number}))
