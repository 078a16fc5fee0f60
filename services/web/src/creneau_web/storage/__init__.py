"""The pages' own data: who is logged in, and what has been begun."""
