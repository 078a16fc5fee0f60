"""Loads the directory from national files: read as streams, stored as fragments, compared, written in bulk."""
