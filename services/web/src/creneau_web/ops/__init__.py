"""The operator's page: is it working, since when not, for whom not, what changed, what is lost or doubled, what to do.

settings.py    which processes and dependencies there are, and when a figure is bad
reading.py     Prometheus' text → numbers
memory.py      a quarter of an hour of them
collecting.py  asks every process and dependency, again and again
figures.py     rates, shares and percentiles from counters that may begin anew
view.py        what was seen, by what an operator asks for
judging/       pure: is it well or not, for each line, and which heading of the guide says what to do
report.py      since when, and the sentence above all
rehearsal.py   books every minute for nobody, in a process of its own
"""
