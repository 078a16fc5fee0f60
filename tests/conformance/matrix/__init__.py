"""The matrix of rights: a world with several practices and persons, everybody who may ask for it, every way of asking,
and what `security/role_table.py` says that each must be answered."""
