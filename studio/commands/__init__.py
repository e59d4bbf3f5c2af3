"""The verbs of ``python -m studio``: thin over the services, one JSON object on stdout with ``--json``."""
