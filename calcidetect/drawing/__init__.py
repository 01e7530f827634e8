"""Marks drawn the way a case report prints them: geometry first, then pixels or outlines."""
