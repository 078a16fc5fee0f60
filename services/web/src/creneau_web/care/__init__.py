"""Who gives care, where, and when they are free: what the pages show of the directory and of agendas."""
