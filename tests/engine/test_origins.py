"""Witnesses that know a second, put to messages that know a queue id."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.events import Accepted, Message, Posted, ScriptMailed, Submitted
from penstock.core.ledger import Counter
from penstock.core.policy import Entry
from penstock.core.standing import State
from penstock.core.witness import Claim, Witness
from penstock.engine.origins import RIPE, Origins
from support import T0, World, policy

A, B = "/srv/a/mailer.php", "/srv/b/mailer.php"
UID, OTHER = "1033", "1044"


def header(script: str = "mailer.php", user: str = UID) -> tuple[Claim, ...]:
    return (Claim(Witness.HEADER, user, script),)


def mailed(path: str = A, at: float = T0) -> ScriptMailed:
    return ScriptMailed(at, path, 7, 1)


def submitted(script: str = A, user: str = UID, at: float = T0) -> Submitted:
    return Submitted(at, user, script, "/srv", "", "")


def from_log(user: str = UID, queue_id: str = "4Xy1", at: float = T0) -> Message:
    found = Message(at, "mx1/postfix", queue_id)
    found.kind, found.name, found.recipients, found.size = "uid", user, 2, 5000
    return found


class Board:
    """Origins alone; ``at_gate`` gives the key."""

    def __init__(self, *heard: ScriptMailed | Submitted | Posted, **users: str) -> None:
        self.placed: list[tuple[str, str]] = []
        self.late: list[Message] = []
        self.origins = Origins(lambda key, under, at: self.placed.append((key, under)))
        self.origins.on_late = self.late.append
        for queue_id, user in users.items():
            self.origins.picked_up(queue_id, user)
        for event in heard:
            self.origins.hear(event)

    def gate(self, queue_id: str = "q", claims: tuple[Claim, ...] = (), at: float = T0 + 1) -> str:
        return self.origins.at_gate(queue_id, claims, at).key

    def log(self, message: Message) -> str:
        self.origins.name(message, message.at)
        return f"{message.kind}:{message.name}"


# --- sightings ----------------------------------------------------------------------------------


def test_a_line_of_phps_log_names_one_message() -> None:
    board = Board(mailed(), q=UID, r=UID)
    assert board.gate("q", header()) == f"script:{A}"
    assert board.gate("r", header("other.php")) == f"script:{UID}:other.php"
    assert board.gate("r") == "uid:1033", "the line was of another message"


def test_a_line_of_another_time_or_another_name_does_not_fit() -> None:
    for at in (T0 - 20, T0 + 10):
        assert Board(mailed(at=at), q=UID).gate("q") == "uid:1033"
    assert Board(mailed(B), q=UID).gate("q", header("x.php")) == f"script:{UID}:x.php"


def test_two_scripts_at_once_name_nobody_but_a_header_tells_them_apart() -> None:
    two = mailed("/srv/a/one.php"), mailed("/srv/a/two.php")
    assert Board(*two, q=UID).gate("q") == "uid:1033"
    assert Board(*two, q=UID).gate("q", header("two.php")) == "script:/srv/a/two.php"
    same = mailed(A), mailed(B)
    assert Board(*same, q=UID).gate("q", header()) == f"script:{UID}:mailer.php"


def test_a_script_that_is_known_as_another_users_is_not_taken() -> None:
    board = Board(mailed(B), q=OTHER, r=UID)
    assert board.gate("q", header(user=OTHER)) == f"script:{B}"
    board.origins.hear(mailed(B, T0 + 5))
    assert board.gate("r", header(), T0 + 5) == f"script:{UID}:mailer.php"


def test_a_header_that_lies_about_its_own_script() -> None:
    """PHP's log names a script that is known as this user's: that counts, not what the header says."""
    board = Board(mailed(A), q=UID, r=UID)
    board.gate("q", header())
    board.origins.hear(mailed(A, T0 + 5))
    assert board.gate("r", header("innocent.php"), T0 + 5) == f"script:{A}"
    assert "not innocent.php, as PHP's header has it" in board.origins.why(f"script:{A}")


def test_the_wrappers_line_needs_the_kernels_user() -> None:
    assert Board(submitted(), q=UID).gate("q") == f"script:{A}"
    assert Board(submitted(user=OTHER), q=UID).gate("q") == "uid:1033"
    assert Board(submitted(script=""), q=UID).gate("q") == "uid:1033"
    board = Board(submitted(user="33"), q="33")
    board.origins.shared = frozenset({"33"})
    assert board.gate("q", header()) == f"script:{A}"


def test_mail_of_nobody_known_stays_so() -> None:
    assert Board(mailed()).gate() == ""


def test_a_path_that_is_known_completes_a_bare_name() -> None:
    board = Board(mailed(), q=UID, r=UID, s=OTHER)
    board.gate("q", header())
    assert board.gate("r", header(), T0 + 3600) == f"script:{A}"
    assert board.gate("s", header(user=OTHER), T0 + 3600) == f"script:{OTHER}:mailer.php"


def test_a_request_completes_a_bare_name() -> None:
    board = Board(Posted(T0, A, "192.0.2.9"), Posted(T0, "/srv/a/other.php", ""), q=UID)
    assert board.gate("q", header()) == f"script:{A}"


# --- the gate and the log -----------------------------------------------------------------------


def test_the_log_says_the_same_as_the_gate_without_a_second_sighting() -> None:
    board = Board(mailed(), **{"4Xy1": UID})
    assert board.gate("4Xy1", header()) == board.log(from_log()) == f"script:{A}"
    assert board.placed == [(f"script:{A}", f"uid:{UID}")]
    assert board.origins.named == {("gate", "kernel"): 1, ("log", "kernel"): 1}


def test_the_log_overrules_a_header() -> None:
    """A sighting that was taken for the forged user does not stick."""
    board = Board(mailed(B))
    assert board.gate("4Xy1", header(user=OTHER)) == f"script:{B}"
    assert board.log(from_log()) == "uid:1033"


@pytest.mark.parametrize("event", [Posted(T0 - 1, A, ""), mailed(), submitted()])
def test_what_is_written_late_counts_late(event: ScriptMailed | Submitted | Posted) -> None:
    board = Board()
    message = from_log()
    assert board.log(message) == "uid:1033"
    board.origins.hear(event)
    board.origins.sweep(T0 + RIPE - 1)
    assert message.kind == "uid"
    board.origins.sweep(T0 + RIPE)
    assert (message.kind, message.name, board.late) == ("script", A, [message])
    board.origins.sweep(T0 + 2 * RIPE)
    assert board.late == [message]


def test_requests_to_two_scripts_name_nobody() -> None:
    board = Board(Posted(T0, A, ""), Posted(T0 + 1, B, ""))
    message = from_log()
    board.log(message)
    board.origins.sweep(T0 + RIPE)
    assert message.kind == "uid" and board.late == []


def test_who_waits_for_the_kernels_word_is_told_once() -> None:
    board, told = Board(), []
    board.origins.wait("q", lambda: told.append(1))
    board.origins.picked_up("q", UID)
    board.origins.picked_up("q", UID)
    assert told == [1] and board.origins.knows("q") and not board.origins.knows("r")
    board.origins.wait("r", lambda: told.append(2))
    board.origins.give_up("r")
    board.origins.picked_up("r", UID)
    assert told == [1]


# --- senders ------------------------------------------------------------------------------------


def test_a_script_belongs_to_its_user_and_the_user_to_its_customer() -> None:
    world = World(policy("1000/h"), {"uid:1033": Entry(customer="7")})
    world.engine.observe(mailed())
    world.engine.observe(Accepted(T0, from_log()))
    script = world.sender(f"script:{A}")
    assert [each.key for each in script.lineage()] == [f"script:{A}", "uid:1033", "customer:7"]
    for each in script.lineage():
        assert world.counted(each.key) == (2, 1)


def test_a_late_script_is_charged_once_and_its_user_not_again() -> None:
    world = World(policy("1000/h"), {"uid:1033": Entry(customer="7")})
    world.engine.observe(Accepted(T0, from_log()))
    world.engine.observe(mailed())
    world.wait(RIPE)
    world.sweep()
    for key in (f"script:{A}", "uid:1033", "customer:7"):
        assert world.counted(key) == (2, 1)
        assert world.total(Counter.KIB, key) == 5


def test_a_user_does_not_go_to_sleep_under_its_scripts() -> None:
    world = World(policy("1000/h"))
    world.engine.observe(mailed())
    world.engine.observe(Accepted(T0, from_log()))
    world.wait(30 * 86400)
    for _ in range(3):
        world.engine.roster.put_to_rest(world.at, 100)
    assert "uid:1033" in world.engine.roster.senders
    assert f"script:{A}" not in world.engine.roster.senders


def test_a_script_is_paused_without_its_user() -> None:
    world = World(policy("1000/h"))
    roster = world.engine.roster
    for name in ("a.php", "b.php"):
        roster.local(f"script:1033:{name}", "uid:1033", T0)
    roster.change_standing("script:1033:a.php", State.PAUSED, T0, "test", "flood", None, State.OPEN)
    assert not roster.get("uid:1033", T0).standing.stopped
    assert not roster.get("script:1033:b.php", T0).standing.stopped


def test_a_pause_by_the_short_name_holds_when_the_path_is_known() -> None:
    world = World(policy("1000/h"))
    roster = world.engine.roster
    short = "script:1033:mailer.php"
    roster.change_standing(short, State.PAUSED, T0, "test", "flood", None, State.OPEN)
    world.engine.observe(mailed())
    world.engine.observe(Accepted(T0, from_log()))
    script = world.sender(f"script:{A}")
    assert [each.key for each in script.lineage()] == [f"script:{A}", short, "uid:1033"]
    other = roster.local("script:/srv/a/other.php", "uid:1033", T0)
    assert [each.key for each in other.lineage()] == ["script:/srv/a/other.php", "uid:1033"]
    elses = roster.local("script:/srv/b/mailer.php", "uid:1044", T0)
    assert [each.key for each in elses.lineage()] == ["script:/srv/b/mailer.php", "uid:1044"]


def test_whose_a_script_is_outlives_a_restart() -> None:
    world = World(policy("1000/h"))
    world.engine.origins.recall({A: UID})
    for key in (f"script:{A}", "script:1033:x.php"):
        assert [each.key for each in world.sender(key).lineage()] == [key, "uid:1033"]
    assert world.sender("script:/srv/unknown.php").parent is None


# --- hostile ------------------------------------------------------------------------------------

EVENTS = st.one_of(
    st.builds(ScriptMailed, st.floats(T0 - 30, T0 + 30), st.text(max_size=400), st.just(1), st.just(1)),
    st.builds(
        Submitted,
        st.floats(T0 - 30, T0 + 30),
        st.sampled_from([UID, OTHER]),
        st.text(max_size=20),
        st.just(""),
        st.just(""),
        st.just(""),
    ),
    st.builds(Posted, st.floats(T0 - 30, T0 + 30), st.text(max_size=20), st.just("")),
)


@given(st.lists(EVENTS, max_size=30), st.text(max_size=30), st.text(max_size=30))
def test_whatever_is_seen_the_kernels_user_is_charged(
    events: list[ScriptMailed | Submitted | Posted], script: str, user: str
) -> None:
    world = World(policy("1000/h"))
    world.engine.origins.at_gate("4Xy1", (Claim(Witness.HEADER, user, script),), T0)
    for event in events:
        world.engine.observe(event)
    message = from_log()
    world.engine.observe(Accepted(T0, message))
    world.wait(RIPE)
    world.sweep()
    assert world.counted("uid:1033") == (2, 1)
    if message.kind == "script":
        assert world.counted(f"script:{message.name}") == (2, 1)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.engine.origins.MOST", 50)
    board = Board()
    for i in range(500):
        board.origins.hear(mailed(f"/srv/{i}.php", T0 + i))
        board.origins.picked_up(f"q{i}", str(i))
        board.gate(f"q{i}", header(user=str(i)), T0 + i)
    origins = board.origins
    for row in (origins._users, origins._claims, origins._why, origins._owners, origins._paths):
        assert len(row) <= 50
