"""Appointments as a person sees them: read, moved, cancelled, told."""
