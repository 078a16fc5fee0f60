"""`Slot/$soonest`: the first free slot of each agenda, soonest or nearest first."""
