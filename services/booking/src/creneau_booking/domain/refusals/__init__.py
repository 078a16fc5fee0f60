"""Every refusal of the rules, as facts, by theme. How each is told (status, FHIRPath, French, English): the room of the same
name in `creneau_booking.words`.

Instants carry their zone, ids are without their type, indexes are those of the appointment's participants.
"""
