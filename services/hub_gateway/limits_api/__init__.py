"""Limits as an API: what is asked and answered, the table of users, changes with a second thought, its document."""
