"""The exposed field of a film: its borders, what lies in it that is no anatomy, and the air around the body."""
