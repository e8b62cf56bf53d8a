"""What storage raises when the disk refuses; sqlalchemy's errors stay inside."""


class DiskRefused(Exception):  # named by what is the case
    """The database could not be written: full, read-only or failing. Nothing was changed."""
