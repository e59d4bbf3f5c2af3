"""From a finished run to a folder that others can open: merge, prove, describe."""
