"""Users by name, where they have one."""

import pwd


def user_name(uid: int) -> str:
    """Such as `anna (uid 1000)`; only the number for a user that this host does not know."""
    try:
        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"uid {uid}"
