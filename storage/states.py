"""States of an entry and the one table of legal moves.

Every statement of `storage.outbox` that changes a state takes its guard from here, so what
is drawn in docs/architecture.md, what the database allows and what an operator is told are
the same.
"""

from dataclasses import dataclass
from enum import IntEnum


class State(IntEnum):
    """Where an entry is. Small integers, because they are stored a million times."""

    PENDING = 0
    LEASED = 1
    HELD = 2
    DEAD = 3


@dataclass(frozen=True, slots=True)
class Move:
    """From which states a verb may take an entry, and where to (None: it leaves the outbox).

    `stays`: it changes the entry and not its state.
    """

    sources: tuple[State, ...]
    target: State | None
    stays: bool = False

    def allows(self, state: State) -> bool:
        """May an entry in `state` make this move?"""
        return state in self.sources

    def after(self, state: State) -> State | None:
        """Where an entry in `state` is once the verb was tried (None: it has left)."""
        return state if self.stays or not self.allows(state) else self.target


MOVES: dict[str, Move] = {
    "claim": Move((State.PENDING,), State.LEASED),
    "confirm": Move((State.LEASED,), None),
    "give_back": Move((State.LEASED,), State.PENDING),
    "bury": Move((State.LEASED,), State.DEAD),
    "set_aside": Move((State.LEASED,), State.HELD),
    "supersede": Move((State.LEASED,), None),
    "reclaim": Move((State.LEASED,), State.PENDING),
    "hold": Move((State.PENDING,), State.HELD),
    "release": Move((State.HELD,), State.PENDING),
    "expire": Move((State.PENDING, State.HELD), State.DEAD),
    "retry": Move((State.DEAD, State.PENDING), State.PENDING),
    "discard": Move((State.PENDING, State.HELD, State.DEAD), None),
    # Not while in doubt: what may be there already would be looked for in other words.
    "edit": Move((State.PENDING, State.HELD, State.DEAD), None, stays=True),
}
