"""Operations of a practice on its agendas: fed, previewed, closed, followed, published."""
