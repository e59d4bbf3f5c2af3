"""Several datasets mixed into a new one by weights, as far as a budget of tokens goes, with a held-out part."""
