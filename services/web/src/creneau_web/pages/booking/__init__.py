"""From a chosen time to a confirmed appointment: sign in, for whom, identity, check, done."""
