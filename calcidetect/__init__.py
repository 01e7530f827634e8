"""Candidate soft-tissue calcification on plain radiographs, for a human reader. Not for diagnosis."""
