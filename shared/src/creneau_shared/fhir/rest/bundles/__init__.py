"""Batches and transactions: their entries read, ordered, carried out apart or together, and answered."""
