"""Agendas: whose they are, what rules they have, why one of them shows nothing, and which slots it has."""
