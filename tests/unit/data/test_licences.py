from __future__ import annotations

import pytest

from studio.data.licences import traits


@pytest.mark.parametrize(
    "licence",
    ["apache-2.0", "MIT", "cc-by-4.0", "CC BY 4.0", "CC0-1.0", "odc-by", "cdla-permissive-2.0", "bsd-3-clause"],
)
def test_open_licences_ask_for_nothing(licence) -> None:
    assert traits(licence) == ()


@pytest.mark.parametrize(
    ("licence", "found"),
    [
        ("cc-by-nc-4.0", ("non_commercial",)),
        ("CC-BY-NC-ND-4.0", ("non_commercial", "no_derivatives")),
        ("cc_by_nc_sa_4.0", ("non_commercial", "share_alike")),
        ("cc-by-nd-4.0", ("no_derivatives",)),
        ("cc-by-sa-3.0, gfdl", ("share_alike",)),
        ("mit, cc-by-nc-4.0", ("non_commercial",)),
        ("cdla-sharing-1.0", ("share_alike",)),
        ("gpl-3.0", ("share_alike",)),
        ("gemma", ("own_terms",)),
        ("llama3.1", ("own_terms",)),
        ("other", ("own_terms",)),
        ("mit, unknown", ("unknown",)),
        *((unstated, ("unknown",)) for unstated in (None, "", "unknown", "ask the author")),
    ],
)
def test_what_a_licence_asks_for(licence, found) -> None:
    assert traits(licence) == found
