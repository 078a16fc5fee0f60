"""What an address may be sent, and which spellings are one address."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creneau_notifications.channels.email.address import email_address
from creneau_notifications.channels.sms.address import sms_address
from creneau_notifications.domain.address import InvalidAddressError
from creneau_notifications.domain.allowance import NEWS, Allowance, Standing, withheld
from creneau_notifications.domain.plan import Kind

kinds = st.sampled_from(list(Kind))
allowances = st.builds(Allowance, st.integers(0, 6), st.integers(0, 6), st.integers(1, 30))


@given(allowances, st.lists(kinds, max_size=40))
def test_an_unconfirmed_address_never_gets_more_than_its_few(allowance, wanted):
    """Whatever the order; and the last are left for a move or a cancellation."""
    sent: list[Kind] = []
    for kind in wanted:
        standing = Standing(unconfirmed=len(sent), today=len(sent))
        if withheld(allowance, standing, kind, known=False) is None:
            sent.append(kind)
    assert len(sent) <= min(allowance.unconfirmed_max, allowance.day_max)
    others = [kind for kind in sent if kind not in NEWS]
    assert len(others) <= max(allowance.unconfirmed_max - allowance.news_reserve, 1)


@given(st.integers(1, 6), st.integers(0, 9), kinds)
def test_the_first_message_can_always_leave_with_its_link(most, reserve, kind):
    assert withheld(Allowance(most, reserve), Standing(), kind, known=False) is None


def test_three_messages_are_spent_on_what_matters():
    """Confirmation and reminder; the second reminder waits; the cancellation has its place kept."""
    allowance = Allowance()
    told = [
        (kind, withheld(allowance, Standing(unconfirmed=sent, today=sent), kind, known=False))
        for sent, kind in (
            (0, Kind.CONFIRMATION),
            (1, Kind.REMINDER),
            (2, Kind.REMINDER),
            (2, Kind.CONFIRMATION),
            (2, Kind.CANCELLATION),
            (3, Kind.CANCELLATION),
        )
    ]
    assert [reason for _, reason in told] == [
        None,
        None,
        "address-unconfirmed",
        "address-unconfirmed",
        None,
        "address-unconfirmed",
    ]


@pytest.mark.parametrize(("known", "reason"), [(True, None), (False, "address-unconfirmed")])
def test_a_refusal_holds_for_whom_nobody_answers(known, reason):
    assert withheld(Allowance(), Standing(refused=True), Kind.CANCELLATION, known=known) == reason


def test_a_day_has_a_limit_for_confirmed_addresses_too():
    assert withheld(Allowance(day_max=20), Standing(today=19), Kind.CHANGE, known=True) is None
    assert withheld(Allowance(day_max=20), Standing(today=20), Kind.CHANGE, known=True) == "too-many-messages"


@pytest.mark.parametrize(
    ("one", "other", "same_exact"),
    [
        ("Camille@Example.org", "camille@example.ORG", True),
        ("camille+a@example.org", "camille+b@example.org", False),
        ("camille+a@example.org", "camille@example.org", False),
        ("c.a.m@gmail.com", "cam+x@Gmail.com", False),
    ],
)
def test_spellings_of_one_letter_box_are_counted_together(one, other, same_exact):
    first, second = email_address(one), email_address(other)
    assert first.mailbox == second.mailbox
    assert (first.exact == second.exact) is same_exact


@pytest.mark.parametrize(
    ("one", "other"), [("c.am@example.org", "cam@example.org"), ("+@example.org", "a@example.org")]
)
def test_two_letter_boxes_are_two(one, other):
    assert email_address(one).mailbox != email_address(other).mailbox


@pytest.mark.parametrize(
    "text",
    ["06 39 98 00 01", "+33639980001", "0033 6 39 98 00 01", "+33 (0)6.39.98.00.01", "06-39-98-00-01"],
)
def test_a_number_has_one_spelling(text):
    assert sms_address(text).value == "+33639980001"


@pytest.mark.parametrize(
    "text", ["", "bonjour", "+33 6 appelle-moi", "15", "0639980001; 0639980002", "+" * 9, "+33639980001\nX"]
)
def test_what_is_no_number_is_none(text):
    with pytest.raises(InvalidAddressError) as raised:
        sms_address(text)
    assert raised.value.reason == "invalid-address"
