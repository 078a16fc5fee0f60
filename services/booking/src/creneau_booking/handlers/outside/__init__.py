"""What comes from elsewhere and goes there: calendars that are read, publication, reports to the SAS platform."""
