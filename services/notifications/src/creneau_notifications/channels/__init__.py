"""The ways by which messages travel: a folder each, which nobody knows but `registry`.

A folder has its `address` (what an address of the channel is), its `render` (what the reader sees), its `transport`
(how it leaves), its `settings`, and its `channel`, which declares all this and what is told by it, and when. A new
channel is a new folder and its line in `registry`; a kind of address that contacts do not carry yet, a member of
their event too.
"""
