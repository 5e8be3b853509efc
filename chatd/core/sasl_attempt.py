"""What all attempts to authenticate have in common (RFC 6120 6): how they end, and that each step comes in its turn."""
from __future__ import annotations

import attrs

__all__ = ["CONDITIONS", "Attempt", "Failure"]

CONDITIONS = frozenset((
    "aborted", "account-disabled", "credentials-expired", "encryption-required", "incorrect-encoding",
    "invalid-authzid", "invalid-mechanism", "malformed-request", "mechanism-too-weak", "not-authorized",
    "temporary-auth-failure"))
"""The failures of RFC 6120 6.5."""


@attrs.frozen
class Failure:
    """condition: one of CONDITIONS. reason: a word for the log and the tests, never sent."""

    condition: str
    reason: str = ""


class Attempt:
    """One attempt by one mechanism. What a mechanism does stands in `_state`, a word; "over" is the same for all."""

    _state = "initial"

    def abort(self) -> Failure:
        """<abort/> (RFC 6120 6.4.4)."""
        return self._fail("aborted", "client")

    def refuse(self, condition: str, reason: str = "") -> Failure:
        """The look-up could not be done ("temporary-auth-failure"), or back-off forbids the attempt. ValueError: the
        condition is none of CONDITIONS."""
        if condition not in CONDITIONS:
            raise ValueError(condition)
        return self._fail(condition, reason)

    def _expect(self, state: str) -> None:
        """RuntimeError where another answer, or none, was asked for."""
        if self._state != state:
            raise RuntimeError(f"SASL exchange is {self._state!r}, not {state!r}")

    def _fail(self, condition: str, reason: str) -> Failure:
        self._state = "over"
        return Failure(condition, reason)
