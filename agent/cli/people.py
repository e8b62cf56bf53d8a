"""Users by name, where they have one."""

import pwd


def operator_name(who: str) -> str:
    """Who did something, as the agent wrote it down: `uid 1000` has a name on this host."""
    word, _, number = who.partition(" ")
    return user_name(int(number)) if word == "uid" and number.isdecimal() else who


def user_name(uid: int) -> str:
    """Such as `anna (uid 1000)`; only the number for a user that this host does not know."""
    try:
        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"uid {uid}"
