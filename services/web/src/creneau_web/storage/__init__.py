"""What the pages keep of their own: who is logged in, and what has been begun."""
