"""What comes from elsewhere and goes there: feeds, calendars, the SAS platform, bulk publication."""
