"""What must hold of any bytes at the doors, asked by hypothesis, or for long by a fuzzer."""
