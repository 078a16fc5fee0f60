"""What the service hears: appointments, contacts and the directory's resources."""
