"""One run of one window: here alone stands which stage follows which."""
