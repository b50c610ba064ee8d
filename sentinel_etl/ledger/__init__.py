"""What is remembered of every run, and what follows from it."""
