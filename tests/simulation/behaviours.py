"""Ours, and two that are often built, to compare with: all run on the agent's own code."""

from agent.retry import Policy
from tests.simulation.agents import Behaviour

OURS = Behaviour("Holdfast")
FIXED = Behaviour(
    "fixed interval, no jitter",
    Policy(first_delay_seconds=60, max_delay_seconds=60),
    jitter=False,
    paced=False,
)
DOUBLING = Behaviour("doubling, no jitter, no slow start", jitter=False, paced=False)
ALL = (OURS, FIXED, DOUBLING)
