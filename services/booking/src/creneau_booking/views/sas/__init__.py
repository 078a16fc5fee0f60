"""The SAS family: what the regulation of unscheduled care asks for, and the form in which it is answered."""
