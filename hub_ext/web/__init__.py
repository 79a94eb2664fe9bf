"""What every service's web side shares: who is asking, how errors look, health and metrics."""
