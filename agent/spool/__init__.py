"""The spool contract: files in, entries out. See `agent.spool.scan` for its promises.

Imports nothing: `put` reads a text by the same rules (`formats`, `images`), and has to start fast.
"""
