"""From files on disk to a checked plan."""
