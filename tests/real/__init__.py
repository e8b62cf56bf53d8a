"""Real servers from public packages, each in a virtual environment of its own."""
