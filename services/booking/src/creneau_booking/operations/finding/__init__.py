"""Operations that search for free time, and say why there is none."""
