"""Persian text in one spelling."""
