"""Patients, those who act for them, what names them, and how they are recorded, made anonymous and forgotten."""
