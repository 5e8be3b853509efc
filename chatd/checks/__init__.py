"""What `chatctl check` looks at: one file for each subject, each giving Findings; nothing here changes
anything.

configuration   the file, who may read it, options of modules
certificates    there, belongs to its key, covers the names, not about to expire
people          the servers that know the passwords
dns             addresses of the host, SRV records of the domains, and the records to add
ports           free, or held by our own daemon
media           the bridge's modules, addresses and ports, or the LiveKit server; the TURN server's secret
disk            the state folder: there, writable, private, room left

All of it works while the daemon is stopped. Whatever cannot be found out (no network, no permission) is a
finding too, never an exception.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Any

import attrs


class Grade(Enum):
    """How a finding is meant; the order is that of severity."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"

    @property
    def weight(self) -> int:
        """Larger is worse."""
        return list(Grade).index(self)


@attrs.frozen
class Finding:
    """One thing looked at: which subject, how it stands, a sentence, and what to do about it (lines, may be
    none).
    """

    subject: str
    grade: Grade
    text: str
    advice: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "subject": self.subject,
            "grade": self.grade.value,
            "text": self.text,
            "advice": list(self.advice),
        }


def worst(findings: Iterable[Finding]) -> Grade:
    """Return the gravest grade among findings; OK for none."""
    return max((finding.grade for finding in findings), key=lambda grade: grade.weight, default=Grade.OK)
