"""Who is served first when more is asked of a process than it can do at once: whoever holds a time, before who begins."""
