"""Slots made from what an agenda states of its time, and what closing a part of it hits."""
