"""Turns an appointment, its visit and a contact into an e-mail, a calendar file or a text message."""
