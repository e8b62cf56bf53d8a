"""One module per backend: how it speaks, and what proves delivery."""
