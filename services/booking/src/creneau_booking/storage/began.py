"""When appointments begin, looked up for each that is found."""

BEGAN = """
CROSS JOIN LATERAL (
  SELECT low FROM appointment_date WHERE appointment_date.key = appointment.key AND parameter = 'date' OFFSET 0
) AS began"""
"""SQL: the start (`began.low`) of each `appointment`; one without a start falls away.

OFFSET 0 keeps it apart from the rest of the statement: a plan that was made while the tables were empty began with all
dates to come, of everybody, and was kept while they filled."""
