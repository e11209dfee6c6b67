"""Readers of public data sets as their users download them, a module a family."""
