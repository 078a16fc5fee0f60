"""Appointments as they are stored: held, booked, in series, waited for, and kept until they are past keeping."""
