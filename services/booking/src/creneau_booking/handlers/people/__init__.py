"""Patients and those who act for them: registration, changes, end, erasure, and the effect on their visits."""
