"""Errors that a user can fix: each is one line."""


class DataError(ValueError):
    """Input that a user can fix: the message is one line for the user."""


class SizeError(DataError):
    """The sizes of an image, its heatmaps and its annotation disagree: the labels are wrong."""
