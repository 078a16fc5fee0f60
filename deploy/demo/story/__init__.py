"""The story of `make demo`: its narrator, its dialogue with the server, the mailbox, the bus, its steps."""
