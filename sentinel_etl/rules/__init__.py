"""The rules of a run: everything that decides what it writes, kept in the warehouse, compared and taken up again."""
