"""The embedded default: the whole platform on one machine, from the same parts a site runs apart."""
