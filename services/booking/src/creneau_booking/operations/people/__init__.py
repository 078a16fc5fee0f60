"""Operations on a person's record, and on who acts for whom."""
