"""What was held because its sender was over a limit or slowed goes when there is room, and counts then."""

from __future__ import annotations

from engine.people import AWAY
from engine.suspects import Person, alice, strangers
from penstock.core.ledger import Counter
from penstock.core.policy import HOLD
from penstock.core.standing import State
from penstock.engine.releasing import Releasing
from support import ALICE, World, policy

ENVELOPE = "a@example.com"


class Keeper(Releasing):
    """Asks about held mail of Alice."""

    def __init__(self, world: World) -> None:
        super().__init__(world.engine)
        self.world = world

    def go(self, *recipients: str) -> bool:
        return self.let_go(ALICE, "4Held", ENVELOPE, recipients, 2000, self.world.at)


def test_what_was_held_over_a_limit_goes_when_the_window_has_moved_on() -> None:
    world = World(policy("2/h", over_limit=HOLD))
    client, keeper = world.smtpd(), Keeper(world)
    client.rcpt("r0@x.test", "r1@x.test")
    assert client.end(2) == "pass"
    assert world.smtpd().rcpt("r2@x.test") == [HOLD.verb]
    assert not keeper.go("r2@x.test")
    world.wait(3700)
    assert world.total(Counter.RECIPIENTS, window=3600) == 0
    assert keeper.go("r2@x.test") and keeper.go("r3@x.test")
    assert world.counted() == (4, 3), "charged when it goes"
    assert world.total(Counter.KIB) == 4
    assert not keeper.go("r4@x.test"), "they count"
    assert world.total(Counter.REFUSED) == 1, "who waits is refused once"


def test_a_message_goes_whole_or_not_at_all() -> None:
    world = World(policy("3/h", over_limit=HOLD))
    keeper = Keeper(world)
    assert keeper.go("r0@x.test", "r1@x.test") is False, "nobody knows the sender"
    world.smtpd().rcpt("friend@x.test")
    assert not keeper.go("r0@x.test", "r1@x.test", "r2@x.test")
    assert world.counted() == (1, 1)
    assert keeper.go("r0@x.test", "r1@x.test") and world.counted() == (3, 2)


def test_of_a_paused_sender_nothing_goes() -> None:
    world = World(policy("9/h", over_limit=HOLD))
    keeper = Keeper(world)
    world.smtpd().rcpt("friend@x.test")
    roster = world.engine.roster
    roster.change_standing(ALICE, State.PAUSED, world.at, "admin:x", "a test", None, State.OPEN)
    assert not keeper.go("r0@x.test")
    roster.change_standing(ALICE, State.OPEN, world.at, "admin:x", "a test", None, State.OPEN)
    assert keeper.go("r0@x.test")


def suspect() -> tuple[Person, list[str]]:
    """Alice, slowed, and the recipients of what was held of her, a message for each."""
    person, wanted = alice(over_limit=HOLD), strangers(60)
    passed = person.write(wanted, AWAY)
    assert person.case is not None and person.case.slowed
    return person, [each for each in wanted if each not in passed]


def test_of_a_slowed_sender_as_many_go_as_canaries_may() -> None:
    """The canaries' outcomes let the rest go: an honest burst is delayed, not lost."""
    person, held = suspect()
    world, case, keeper = person.world, person.case, Keeper(person.world)
    assert case is not None and held
    assert not keeper.go(held[0]), "all canaries are under way"
    person.delivered(list(case.under_way))
    gone = 0
    for _ in range(200):
        went = [each for each in held if keeper.go(each)]
        gone += len(went)
        held = [each for each in held if each not in went]
        person.delivered(went)
        world.wait(10)
        if not held:
            break
    assert not held and gone and person.state is State.OPEN


def test_canaries_that_come_back_pause_and_the_rest_stays() -> None:
    person, held = suspect()
    case, keeper = person.case, Keeper(person.world)
    assert case is not None
    person.bounced(list(case.under_way))
    assert person.state is State.PAUSED
    assert not any(keeper.go(each) for each in held)
