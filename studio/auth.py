"""Who is asking, and what they may do.

An owner may do everything; a visitor may talk to the models that the owner shares and look at the reports that the
owner shares. A `Studio` is opened for one caller, and every service looks at it first: a page built for visitors
cannot reach what a visitor may not do, however it is called.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, Literal, ParamSpec, Protocol, TypeVar

from studio.errors import StudioError

Role = Literal["owner", "visitor"]

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking."""

    role: Role


OWNER = Caller("owner")
VISITOR = Caller("visitor")


class Asked(Protocol):
    """What a service is given first: it knows for whom it was opened."""

    @property
    def caller(self) -> Caller: ...


S = TypeVar("S", bound=Asked)


def owner_only(service: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """A service that refuses everybody but the owner, before it reads or writes anything.

    Raises:
        StudioError: ``auth.owner_only``.
    """

    @wraps(service)
    def checked(studio: S, /, *arguments: P.args, **named: P.kwargs) -> R:
        if studio.caller.role != "owner":
            raise StudioError("auth.owner_only")
        return service(studio, *arguments, **named)

    _mark(checked, "owner")
    return checked


def for_everyone(service: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """A service that visitors may use too; it looks by itself at what is shared."""
    _mark(service, "visitor")
    return service


def least_role(service: Callable[..., Any]) -> Role | None:
    """Who may call `service` at least; None if nobody said."""
    found: Role | None = getattr(service, "least_role", None)
    return found


def _mark(service: Callable[..., Any], role: Role) -> None:
    service.least_role = role  # type: ignore[attr-defined]
