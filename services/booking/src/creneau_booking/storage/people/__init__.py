"""Patients, their representatives, the resources that name them, and how they are recorded, made anonymous and forgotten."""
