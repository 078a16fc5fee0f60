"""One truth about a slot.

*Every reader shows as free to a caller exactly what that caller could book at that moment.* What is taken, held or
made unavailable stands in the slot's row (`taking`), what closes a whole agenda in the agenda's (`agendas`), and one
rule (`rule`) puts the two together for every search: Slot, its views (SAS, GAP) and `$find`. The handlers judge one
booking by the same facts (`domain.rules`), to say why not.

A slot is *taken* by an appointment, whatever its agenda says of it. Another slot is *unavailable* if it lies in the time
of a person, a room or a device that is taken elsewhere. It becomes so in the transaction that takes them, and free again
in the one that gives them back.

Whoever takes, frees or writes slots first locks the people of their agendas (`actors`), in one order, and only then the
slots (`locking`). So nobody writes a slot as free while somebody else is taking its doctor.
"""
