"""Slots as they are written, one by one, together or by difference, and as they are searched."""
