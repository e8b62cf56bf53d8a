"""How we prove who we are: a module for each method, the settings they share, their words.

Promises: a secret is read at send time and kept nowhere else; it is never logged and never part
of an error's text. What a secret is exchanged for (a Kerberos ticket, a token, the cookies of a
login) lives in memory only, and no longer than it is good for. What a person's login has given is
kept in one file of that user's own, so that nobody has to log in again after a restart.
"""
