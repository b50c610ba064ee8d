"""Raw events in, fact rows out. Pure."""
