"""From an appointment, its visit and a contact to what is sent: e-mail, calendar file, text message."""
