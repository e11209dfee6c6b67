"""Readers of public data sets as their users download them, one module per family."""
