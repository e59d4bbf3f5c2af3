"""Whose Hub token the studio holds."""

from __future__ import annotations

import time

from studio.vault import Vault

LATER = time.time() + 3600


def test_a_login_gives_its_token_and_renews_it() -> None:
    vault = Vault()
    vault.offer("hf_first", "sara", LATER)
    assert vault.token == "hf_first"
    vault.offer("hf_second", "sara", LATER)
    assert vault.token == "hf_second"


def test_another_persons_login_waits_until_the_first_has_run_out() -> None:
    vault = Vault()
    vault.offer("hf_sara", "sara", LATER)
    vault.offer("hf_mina", "mina", LATER)
    assert vault.token == "hf_sara"
    vault.offer("hf_sara2", "sara", time.time() - 1)
    vault.offer("hf_mina", "mina", LATER)
    assert vault.token == "hf_mina"


def test_what_the_owner_typed_stands() -> None:
    vault = Vault()
    vault.keep("hf_typed")
    vault.offer("hf_login", "sara", LATER)
    assert vault.token == "hf_typed"


def test_a_forgotten_login_does_not_come_back_by_itself() -> None:
    vault = Vault()
    vault.offer("hf_login", "sara", LATER)
    vault.forget()
    vault.offer("hf_login", "sara", LATER)
    assert vault.token is None
    vault.offer("hf_new", "sara", LATER)
    assert vault.token == "hf_new"


def test_no_token_is_in_what_is_printed() -> None:
    vault = Vault()
    vault.keep("hf_typed")
    vault.forget()
    vault.offer("hf_login", "sara", LATER)
    assert "hf_" not in repr(vault)
