"""The operator's screens: one page that says whether it works, the dead letters' buttons, and what to do when."""
