"""The one kind of error that a user can mend; pages and the command line say it in the user's language."""

from __future__ import annotations

from typing import Any


class StudioError(Exception):
    """Something a user can fix.

    The sentence shown is looked up under ``errors.<code>`` in ``assets/locales``; `details` fills its placeholders.

    Args:
        code: Dotted code such as ``"data.file_empty"``.
        **details: JSON-able values for the sentence; never a secret, since they are stored with a failed job.
    """

    def __init__(self, code: str, **details: Any) -> None:
        super().__init__(code, details)
        self.code = code
        self.details = details

    def __str__(self) -> str:
        named = ", ".join(f"{key}={value!r}" for key, value in self.details.items())
        return f"{self.code}({named})"
