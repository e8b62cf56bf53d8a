"""How we prove who we are: a module for each method, the settings they share, their words.

Promises: a secret is read at send time and kept nowhere else; it is never logged and never part
of an error's text. What a secret is exchanged for (a Kerberos ticket, the token that a command
prints) lives in memory only, and no longer than it is good for.
"""
