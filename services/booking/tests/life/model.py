"""What the rules of booking say of a small town, in a few lines of Python that know nothing of the code or its tables.

| | rule |
|---|---|
| taken | a visit that is held, waits for its practice, is booked or was, has its slots, the agenda's people and its patient |
| free | what the agenda says is free, nobody has, and in whose time nobody of the agenda is taken |
| run out | a hold, a question to the practice or an offer whose end has passed stands in nobody's way |
| another time | proposed, it takes nothing; what is taken is given back once the other side agrees and has got it |
| line | what frees goes to the first who waits for it, can come then and was not asked before; never to the public first |

Whatever is done to it says whether it is allowed; what is not leaves a model that is to be thrown away.
"""

from __future__ import annotations

from dataclasses import dataclass

from services.booking.tests.life.negotiating import Negotiating


@dataclass
class Model(Negotiating):
    """The town, and what may be done in it."""
