"""All refusals of the rules, as facts, by theme. Their words (status, FHIRPath, French, English): the module of the same
name in `creneau_booking.words`.

Instants carry their zone, ids are without their type, indexes are those of the appointment's participants.
"""
