"""Tables that a person may edit."""
