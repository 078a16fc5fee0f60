"""What is one's own: appointments, those for whom one acts, messages, data."""
