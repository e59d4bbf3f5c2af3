"""What a client may say to the chat process: one command per connection, answered by events and a last line."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from studio.chat.requests import Request


class _Command(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    token: str  # from the record, which only the owner of the workspace can read


class Open(_Command):
    do: Literal["open"] = "open"
    sides: tuple[str, ...]


class Generate(_Command):
    """`name` is chosen by the client, so that another connection can stop these answers."""

    do: Literal["generate"] = "generate"
    name: str
    requests: tuple[Request, ...]


class Stop(_Command):
    """Stops the answers called `name`, or all of them."""

    do: Literal["stop"] = "stop"
    name: str | None = None


class Status(_Command):
    do: Literal["status"] = "status"


class Quit(_Command):
    do: Literal["quit"] = "quit"


Command = Open | Generate | Stop | Status | Quit
_COMMANDS: TypeAdapter[Command] = TypeAdapter(Annotated[Command, Field(discriminator="do")])


def parse_command(line: dict[str, object]) -> Command:
    """The command in `line`.

    Raises:
        pydantic.ValidationError: If it is none of ours.
    """
    return _COMMANDS.validate_python(line)
