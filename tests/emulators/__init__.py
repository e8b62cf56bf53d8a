"""Stand-ins for the four backends, each runnable as a server, faults included."""
