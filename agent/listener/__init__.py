"""HTTP over the Unix sockets: how programs hand entries in, and how operators look and act."""
