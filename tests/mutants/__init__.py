"""`make mutants`: break the lines that everything hangs on, one by one, and see a test fail."""
