"""Which limits hold for a sender, and how they grow."""

from __future__ import annotations

import pytest

from penstock.core.decision import Refusal
from penstock.core.ledger import Counter, Ledger
from penstock.core.limits import Unit
from penstock.core.policy import Entry, Override, Policy, Profile, Step, merged_limits, step_factor
from penstock.core.sender import Sender, block, check, growth, plan, reach
from penstock.core.standing import Standing, State
from support import T0, limits, policy_of

DAY = 86400.0
GROWING = Profile(
    "personal",
    limits("100/h"),
    parent_limits=limits("500/h"),
    newcomer=(Step(0, 0.1), Step(7, 0.5), Step(30, 1.0)),
    trusted=(Step(20, 2.0), Step(28, 3.0)),
)
POLICY: Policy = policy_of(GROWING)
LONG_AGO = T0 - 1000 * DAY


def sender(key: str = "login:a", first_seen: float = LONG_AGO, days: int = 0) -> Sender:
    """A sender that mailed on each of the last ``days`` days."""
    ledger = Ledger()
    for day in range(days, 0, -1):
        ledger.mail(int(T0 - day * DAY), 3, 1)
    return Sender(key, GROWING, int(first_seen), ledger)


@pytest.mark.parametrize(
    "age, factor", [(0, 0.1), (6.9, 0.1), (7, 0.5), (29.9, 0.5), (30, 1.0), (3000, 1.0), (-5, 0.1)]
)
def test_a_newcomer_grows_with_its_age(age: float, factor: float) -> None:
    new = sender()
    new.entry = Entry(created_at=T0 - age * DAY)
    plan(new, POLICY, LONG_AGO, T0)
    assert new.factor == factor
    assert [x.allowed for x in check(new, int(T0), 1000, 0, 0)] == [round(100 * factor)]


@pytest.mark.parametrize("days, factor", [(0, 1.0), (19, 1.0), (20, 2.0), (27, 2.0), (28, 3.0), (30, 3.0)])
def test_clean_active_days_earn_trust(days: int, factor: float) -> None:
    old = sender(days=days)
    assert growth(old, GROWING, POLICY, LONG_AGO, T0)[0] == factor


@pytest.mark.parametrize("state", [state for state in State if state is not State.OPEN])
def test_no_trust_while_anything_is_wrong(state: State) -> None:
    old = sender(days=30)
    old.standing = Standing(state, T0 - 100 * DAY, "admin:a", "x")
    assert growth(old, GROWING, POLICY, LONG_AGO, T0)[0] == 1.0


def test_no_trust_within_thirty_days_of_a_pause() -> None:
    old = sender(days=30)
    old.standing = Standing(State.OPEN, T0 - 29 * DAY, "penstock:term", "ended")
    assert growth(old, GROWING, POLICY, LONG_AGO, T0)[0] == 1.0
    old.standing = Standing(State.OPEN, T0 - 30 * DAY, "penstock:term", "ended")
    assert growth(old, GROWING, POLICY, LONG_AGO, T0)[0] == 3.0


def test_a_new_account_that_is_active_each_day_earns_no_trust_before_it_is_grown() -> None:
    new = sender(days=29)
    new.entry = Entry(created_at=T0 - 29.5 * DAY)
    assert growth(new, GROWING, POLICY, LONG_AGO, T0)[0] == 0.5


def test_a_new_installation_takes_nobody_for_new() -> None:
    """Everybody is first seen in the first days: only after two weeks an unseen sender is new."""
    installed = T0 - 13 * DAY
    assert growth(sender(first_seen=T0), GROWING, POLICY, installed, T0)[0] == 1.0
    assert growth(sender(first_seen=T0), GROWING, POLICY, T0 - 14 * DAY, T0)[0] == 0.1
    assert growth(sender(first_seen=T0), GROWING, POLICY, LONG_AGO, T0)[0] == 0.1


def test_a_customer_never_seen_is_not_new() -> None:
    assert growth(sender("customer:1", T0), GROWING, POLICY, LONG_AGO, T0)[0] == 1.0


def test_a_customer_has_the_parent_limits() -> None:
    customer = sender("customer:1")
    plan(customer, POLICY, LONG_AGO, T0)
    assert customer.limits == GROWING.parent_limits


@pytest.mark.parametrize("state, factor", [(State.SLOWED, 0.1), (State.PROBATION, 0.25), (State.OPEN, 1.0)])
def test_standings_leave_a_fraction(state: State, factor: float) -> None:
    old = sender()
    old.standing = Standing(state, T0, "admin:a", "x")
    plan(old, POLICY, LONG_AGO, T0)
    assert old.factor == factor


def test_an_exception_is_exact_whatever_the_age_but_not_whatever_the_standing() -> None:
    new = sender(first_seen=T0)
    new.override = Override("login:a", limits=limits("1000/h"))
    plan(new, POLICY, LONG_AGO, T0)
    assert (new.limits, new.factor) == (limits("1000/h"), 1.0)
    new.standing = Standing(State.SLOWED, T0, "admin:a", "x")
    plan(new, POLICY, LONG_AGO, T0)
    assert new.factor == 0.1


def test_an_exception_ends() -> None:
    old = sender()
    old.override = Override("login:a", limits=limits("1000/h"), until=T0 + 50)
    plan(old, POLICY, LONG_AGO, T0)
    assert old.replan_at == T0 + 50
    plan(old, POLICY, LONG_AGO, T0 + 50)
    assert old.limits == GROWING.limits


def test_the_next_look_is_due_when_something_ends() -> None:
    old = sender()
    old.standing = Standing(State.PAUSED, T0, "admin:a", "x", T0 + 7)
    plan(old, POLICY, LONG_AGO, T0)
    assert old.replan_at == T0 + 7


def test_replacing_limits_replaces_their_units_only() -> None:
    base = limits("5/m", "100/h", "messages 10/h", "bytes 5MB/h")
    merged = merged_limits(base, limits("7/d", "messages 1/h"))
    assert {(str(x), x.unit) for x in merged} == {
        ("7/d", Unit.RECIPIENTS),
        ("1/h", Unit.MESSAGES),
        ("5MB/h", Unit.BYTES),
    }
    assert merged_limits(base, ()) == base


def test_steps() -> None:
    assert step_factor((), 5) == 1.0
    assert step_factor((Step(3, 0.5),), 2.9) == 1.0


def test_check_names_every_limit_that_is_exceeded_and_finds_the_smallest_room() -> None:
    one = sender()
    one.limits = limits("5/m", "8/h", "messages 3/h", "shadow 2/d")
    one.ledger.mail(int(T0), 2, 1)
    found = check(one, int(T0), 4, 1, 0)
    assert [(str(x.limit), x.allowed, x.used) for x in found] == [("5/m", 5, 2), ("2/d", 2, 2)]
    assert (one.spare_recipients, one.spare_messages) == (0, 2)
    assert one.ledger.total(Counter.RECIPIENTS, int(T0), 60) == 2


def test_what_is_not_wanted_is_not_refused() -> None:
    """END-OF-MESSAGE asks for no recipients: a full recipient limit is no reason to refuse it."""
    one = sender()
    one.limits = limits("2/m")
    one.ledger.mail(int(T0), 5, 1)
    assert check(one, int(T0), 0, 0, 10) == []


# --- limits on outcomes -----------------------------------------------------------------------


def came_back(*texts: str, n: int = 0, counter: Counter = Counter.UNKNOWN_USER) -> Sender:
    """A sender with these limits of whom ``n`` recipients came back just now."""
    one = sender()
    one.limits = limits(*texts)
    one.ledger.add(counter, int(T0), n)
    return one


def test_a_limit_on_outcomes_is_reached_by_its_number_not_by_more() -> None:
    for n, reached in ((24, []), (25, [(25, 25)]), (26, [(25, 26)])):
        one = came_back("unknown-user 25/h", n=n)
        assert [(x.allowed, x.used) for x in check(one, int(T0), 1, 1, 0)] == reached


def test_reached_it_leaves_no_room_so_that_every_attempt_looks_again() -> None:
    one = came_back("unknown-user 25/h", "100/h", n=25)
    assert check(one, int(T0), 1, 1, 0)
    assert (one.spare_recipients, one.spare_messages, one.spare_kib) == (-1, -1, -1)
    assert not check(one, int(T0) + 3700, 1, 1, 0)
    assert one.spare_recipients == 100


def test_the_end_of_a_message_is_not_refused_for_outcomes_and_does_not_cover_them_up() -> None:
    one = came_back("unknown-user 25/h", "100/h", n=25)
    assert check(one, int(T0), 0, 0, 5) == []
    assert one.spare_recipients == -1, "the next recipient must look"


def test_a_limit_on_outcomes_in_shadow_mode_is_told_each_time() -> None:
    one = came_back("shadow unknown-user 25/h", "100/h", n=25)
    for _ in range(2):
        assert [x.limit.mode for x in check(one, int(T0), 1, 1, 0)] == ["shadow"]
        assert one.spare_recipients == -1


def test_outcomes_and_flow_are_both_named() -> None:
    one = came_back("unknown-user 25/h", "bounced 1/d", "2/h", n=25)
    one.ledger.mail(int(T0), 2, 1)
    assert [str(x.limit) for x in check(one, int(T0), 1, 0, 0)] == ["25/h", "2/h"]


def test_only_its_own_outcome_reaches_a_limit() -> None:
    one = came_back("complaints 3/d", n=100)
    assert check(one, int(T0), 1, 1, 0) == []


def test_the_factor_of_age_and_standing_leaves_outcomes_alone() -> None:
    one = came_back("unknown-user 25/h", n=24)
    one.factor = 0.1
    assert check(one, int(T0), 1, 1, 0) == []
    one.factor = 10.0
    one.ledger.add(Counter.UNKNOWN_USER, int(T0), 1)
    assert check(one, int(T0), 1, 1, 0)


@pytest.mark.parametrize(
    "recipients, complaints, reached", [(0, 2, 0), (0, 3, 1), (4000, 3, 0), (4000, 4, 1)]
)
def test_a_share_holds_from_its_number_on(recipients: int, complaints: int, reached: bool) -> None:
    one = came_back("complaints 0.1%/d min 3", n=complaints, counter=Counter.COMPLAINTS)
    one.ledger.mail(int(T0) - 3600, recipients, 1)
    assert bool(check(one, int(T0), 1, 1, 0)) == reached


def test_a_shorter_window_sees_what_it_holds() -> None:
    one = came_back("bounced 10%/d min 3", n=9, counter=Counter.BOUNCED)
    one.ledger.mail(int(T0) - 7200, 1000, 1)
    [limit] = one.limits
    assert reach(one, limit, int(T0)) is None
    found = reach(one, limit, int(T0), 3600)
    assert found is not None and (found.used, found.allowed) == (9, 3)


def test_a_block_by_outcomes_ends_when_enough_of_them_have_left_the_window() -> None:
    one = came_back("unknown-user 25/5m", n=20)
    one.ledger.add(Counter.UNKNOWN_USER, int(T0) + 100, 5)
    now = int(T0) + 110
    [excess] = check(one, now, 1, 1, 0)
    block(one, excess, Refusal("AAAA-AAAA", one.key, "", "defer", False, now, now), now)
    assert T0 + 300 < one.blocked_until <= T0 + 305
    assert check(one, int(one.blocked_until) - 5, 1, 1, 0)
    assert check(one, int(one.blocked_until), 1, 1, 0) == []


def test_an_exception_for_outcomes_alone_lifts_no_other_limit() -> None:
    """A newcomer whose list is old stays a newcomer."""
    new = sender(first_seen=T0)
    new.override = Override("login:a", limits=limits("unknown-user 100/h"))
    plan(new, POLICY, LONG_AGO, T0)
    assert new.factor == 0.1
    assert [f"{limit.unit} {limit}" for limit in new.limits] == ["recipients 100/h", "unknown-user 100/h"]
