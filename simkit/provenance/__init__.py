"""Under which circumstances a session ran."""
