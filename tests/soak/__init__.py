"""`make soak`: the real agent under a seeded schedule of everything that goes wrong in years."""
