"""One module per revision, numbered; a released revision is never edited."""
