"""One cookie, what it stands for, and what keeps a form from being sent by another site."""
