"""Sending what is due: claim with a lease, send outside any transaction, put down what became of it."""
