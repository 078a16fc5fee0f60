import time, httpx
from tests.conformance.builders import *
def test_it(full_stack):
    with full_stack.client() as c:
        o = created(c, practitioner()); deadline=time.monotonic()+20
        agenda = created(c, schedule(f"Practitioner/{o['id']}"))
        while not ids(c.get("/Schedule", params={"actor:Practitioner.identifier": f"{SYSTEM}|{o['identifier'][0]['value']}"})):
            assert time.monotonic()<deadline; time.sleep(.2)
