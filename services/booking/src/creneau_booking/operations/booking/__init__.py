"""Operations on an appointment: held, booked, agreed to, moved, cancelled, waited for."""
