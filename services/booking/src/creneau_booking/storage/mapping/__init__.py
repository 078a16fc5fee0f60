"""Between a resource and its rows: what is taken apart when it is written, put together when it is read, and left out for
who may not see it."""
