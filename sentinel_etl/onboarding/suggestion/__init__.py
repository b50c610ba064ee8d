"""What an entry of EVENT_CONFIG for a live table could be."""
