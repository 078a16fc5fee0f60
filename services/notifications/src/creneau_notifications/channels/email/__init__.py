"""E-mail with calendar files, over SMTP."""
