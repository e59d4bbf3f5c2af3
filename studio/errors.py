"""The one kind of error that a user can mend; pages and the command line say it in the user's language."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import ValidationError


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

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions are copied by their arguments in order; the details of this one have names.
        return _again, (self.code, self.details)

    def __str__(self) -> str:
        named = ", ".join(f"{key}={value!r}" for key, value in self.details.items())
        return f"{self.code}({named})"


def _again(code: str, details: dict[str, Any]) -> StudioError:
    return StudioError(code, **details)


def invalid(code: str, error: ValidationError) -> StudioError:
    """The first fault that pydantic found in what a user gave.

    Its details are the dotted `key`, the `reason` in pydantic's English, the kind of `fault`, which has a sentence
    under ``faults.*`` in the locales, and the `bound` that was crossed, if there is one.
    """
    fault = error.errors()[0]
    key = ".".join(str(part) for part in fault["loc"]) or "recipe"
    bound = next((value for value in fault.get("ctx", {}).values() if isinstance(value, int | float | str)), None)
    return StudioError(code, key=key, reason=fault["msg"], fault=fault["type"], bound=bound)
