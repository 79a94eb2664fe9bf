"""The policy gateway: the only kernel API that notebook servers see, in front of Enterprise Gateway."""
