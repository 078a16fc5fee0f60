"""Which free time is found, by whom, and first: conditions on slots, and the index of first free starts."""
