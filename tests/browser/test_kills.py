"""A part dies while somebody confirms: they lose no typed word, and have one appointment.

They do what people do when a page does not come: they wait a little and load it again. Browsers send a form again with
what was typed in it, and the same wish has the same key.
"""

from __future__ import annotations

from contextlib import suppress

import httpx
import pytest
from deploy.local.ports import wait_until
from playwright.sync_api import Error

from tests.browser.visitor import Visitor
from tests.fixtures.local_run import READY_AGAIN_WITHIN_S, LocalRun

PARTS = ("web", "booking-api-1", "booking-api-2", "directory-api", "gateway", "nginx", "postgres", "broker")
MESSAGE = "Je viendrai avec une canne et un chien."

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("part", PARTS)
def test_a_part_dies_while_somebody_confirms(patient: Visitor, local_run: LocalRun, part: str) -> None:
    patient.look_for_times()
    patient.choose()
    patient.identify()
    patient.page.locator("#message").fill(MESSAGE)
    killed = local_run.kill(part)
    again = 0
    with suppress(Error):  # the browser's own page: nobody answered
        patient.page.locator("button.main").click()

    def is_confirmed() -> bool:
        nonlocal again
        if "/rendez-vous/" in patient.page.url:
            return True
        again += 1
        try:
            patient.page.reload()
        except Error:
            return False
        return "/rendez-vous/" in patient.page.url

    wait_until(is_confirmed, within_s=READY_AGAIN_WITHIN_S, what="a confirmation", every_s=0.5)
    print(f"\n{part} killed: loaded {again} times again")
    appointment = patient.path.rpartition("/")[2]
    wait_until(
        lambda: local_run.is_back(part, killed),
        within_s=READY_AGAIN_WITHIN_S,
        what=f"{part} again",
        every_s=0.5,
    )
    local_run.wait_ready()
    patient.open("/mes-rendez-vous")
    assert patient.page.locator("main .card").count() == 1
    kept = httpx.get(
        f"{local_run.url}/fhir/Appointment/{appointment}",
        headers={"Authorization": f"Bearer {local_run.token('system')}"},
    ).json()
    assert (kept["status"], kept.get("comment")) == ("booked", MESSAGE)
