"""The Hub token of this process: in memory only, from the Settings, a login of the machine, or the Hub's own login."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass
class Vault:
    """Holds a token; it is never written anywhere.

    A token that the owner typed or took from the machine stands until it is forgotten. One that came with a login in a
    Space gives way to a newer one of the same person, and to another person's only once it has run out: what one of
    an organisation's members has queued is not published in another's name.
    """

    token: str | None = field(default=None, repr=False)
    _person: str | None = field(default=None, repr=False)
    _ends: float = 0.0
    _declined: str | None = field(default=None, repr=False)

    def keep(self, token: str) -> None:
        """Hold `token` because the owner said so."""
        self.token, self._person, self._ends = token, None, 0.0

    def forget(self) -> None:
        """Hold none; the same login is not taken again."""
        self._declined, self.token, self._person = self.token, None, None

    def offer(self, token: str, person: str, ends: float) -> None:
        """Take the token that came with a login, where there is none that goes before it.

        Args:
            token: Of the login.
            person: Who logged in.
            ends: When it runs out, in Unix seconds.
        """
        mine = self.token is None or self._person == person
        if token != self._declined and (mine or (self._person is not None and self._ends < time.time())):
            self.token, self._person, self._ends = token, person, ends
