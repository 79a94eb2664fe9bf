"""What stands on each page: pure functions from models to plain values that a template only has to place."""
