"""Many films: what to scan, in which processes, what is kept of each, and the tables of all."""
