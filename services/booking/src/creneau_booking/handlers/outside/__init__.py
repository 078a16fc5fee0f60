"""Exchange with other systems: calendars that are read, publication, reports to the SAS platform."""
