"""One run: what is due, from what was published, in one transaction each; the composition for a shop."""
