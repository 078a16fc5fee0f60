"""One truth about a slot.

*Every reader shows as free to a caller exactly what that caller could book at that moment.* What is taken, held or
made unavailable stands in the slot's row (`taking`), what closes a whole agenda in the agenda's (`agendas`), and one
rule (`rule`) puts the two together for every search: Slot, its views (SAS, GAP) and `$find`. The handlers judge one
booking by the same facts (`domain.rules`), to say why not.

A slot is *taken* by an appointment, whatever its agenda says of it. Of the others, those are *unavailable* that lie in
the time of a person, a room or a device who is taken elsewhere: they become so in the transaction that takes them, and
free again in the one that gives them back.

Who takes, frees or writes slots first locks those whom their agendas have (`actors`), in one order, and only then
slots (`locking`): so nobody writes a slot as free whose doctor somebody else is taking at that moment.
"""
