"""What a deployment must not say about messaging."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from creneau_shared.messaging.settings import MessagingSettings


@pytest.mark.parametrize("kept", ["OUTBOX_RETENTION_DAYS", "EVENT_RETENTION_DAYS"])
def test_what_can_come_again_is_remembered(kept: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a lost log an event is read again for as long as it is kept: forgotten before, it would have its effect twice.
    The process does not start, and says which setting it is about."""
    monkeypatch.setenv(kept, "31")
    with pytest.raises(ValidationError, match=f"INBOX_RETENTION_DAYS.*{kept}"):
        MessagingSettings()
    monkeypatch.setenv("INBOX_RETENTION_DAYS", "31")
    assert MessagingSettings().inbox_retention_days == 31
