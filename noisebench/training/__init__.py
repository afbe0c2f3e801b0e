"""Training one cell, from a single process to many."""
