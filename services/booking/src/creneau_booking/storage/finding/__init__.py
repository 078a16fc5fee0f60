"""Finding free time: which slots, for whom, which first; conditions on slots, and the index of first free starts."""
