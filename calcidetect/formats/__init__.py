"""Outlines of candidates as other programs read them: one module for each program."""
