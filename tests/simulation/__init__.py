"""Many agents and one backend in virtual time, with the agent's own retry, resting and pace."""
