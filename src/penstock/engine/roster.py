"""All senders of this node: who they are, their standing, their exceptions.

A sender comes into memory when it is first needed: from the counts of earlier runs, with what
the directory knows, else as a stranger with the default profile of its kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from penstock.core.ledger import Ledger
from penstock.core.limits import Unit
from penstock.core.names import ip_key, login_key
from penstock.core.policy import Entry, Override, Policy
from penstock.core.sender import Sender, plan, profile_of, settled
from penstock.core.standing import INITIAL, Standing, State, change
from penstock.ports import Counts, Directory, Records, Remembered

MOST_SPELLINGS: Final = 50_000

_MERGED: Final = "penstock:names"
_STRICT: Final = (State.OPEN, State.PROBATION, State.SLOWED, State.PAUSED, State.LOCKED)
REST: Final = 6 * 3600.0
"""Seconds without a count after which a sender is kept packed."""

_WATCHED: Final = 86400.0
_SUSPECTED: Final = 7 * 86400.0
"""The same of one whose foreign network, or whose suspicion, the signals remember: that is not packed."""


class UnknownSender(LookupError):
    """Nobody of that name has been seen; the message says so."""


class Roster:
    """Senders by key. Standing and exceptions are recorded as they change; ``on_standing`` hears of
    (sender, old, new); ``user_of`` knows the key of a script's user from before, or ""."""

    def __init__(
        self,
        policy: Policy,
        directory: Directory,
        records: Records,
        counts: Counts,
        remembered: Remembered,
        at: float,
    ) -> None:
        self.policy = policy
        self.senders: dict[str, Sender] = {}
        self.overrides = dict(remembered.overrides)
        self.watching_since = remembered.installed_at
        self.on_standing: Callable[[Sender, Standing, Standing], None] = lambda sender, old, new: None
        self.user_of: Callable[[str], str] = lambda script: ""
        self._directory = directory
        self._records = records
        self._counts = counts
        self._spellings: dict[str, str] = {}
        self._strangers: set[str] = set()
        self._patrol: Iterator[str] = iter(())
        for key, standing in remembered.standings.items():
            self.get(key, at).standing = standing
        self._rename_what_holds()

    # --- finding ----------------------------------------------------------------------------

    def get(self, key: str, at: float) -> Sender:
        """The sender of that key: in memory, from an earlier run, or new."""
        found = self.senders.get(key)
        if found is None:
            recalled = self._counts.recall(key)
            found = self._admit(key, *(recalled or (int(at), b"")))
        return found

    def find(self, key: str) -> Sender:
        """The sender if it has ever been seen; raises UnknownSender."""
        found = self.senders.get(key)
        if found is None:
            recalled = self._counts.recall(key)
            if recalled is None:
                raise UnknownSender(f"{key} has never been seen here")
            found = self._admit(key, *recalled)
        return found

    def by_login(self, typed: str, at: float) -> Sender:
        """The sender behind a SASL login as it was typed."""
        found = self.senders.get("login:" + typed)
        if found is None:
            key = self._spellings.get(typed)
            if key is None:
                key = self._spelled(typed, login_key(typed, self.policy.naming))
            found = self.get(key, at)
        return found

    def by_address(self, address: str, at: float) -> Sender:
        """The sender behind a client address without login."""
        spelling = "ip " + address
        key = self._spellings.get(spelling)
        if key is None:
            key = self._spelled(spelling, ip_key(address))
        return self.get(key, at)

    def local(self, key: str, under: str, at: float) -> Sender:
        """The sender of mail that was handed in on a machine. ``under``: the user whose script it is.

        A script by its path is also under the short name that its header gives it, once somebody has judged
        that one: a pause of ``script:1033:x.php`` must not end because the path has become known."""
        sender = self.get(key, at)
        if not under or sender.kind != "script":
            return sender
        if key.startswith("script:/"):
            short = self.senders.get(f"script:{under.removeprefix('uid:')}:{key.rpartition('/')[2]}")
            if short is not None and short.standing is not INITIAL:
                under = self.local(short.key, under, at).key
        if sender.under != under:
            sender.under = under
            self._place(sender, sender.entry)
            sender.look_again()
        return sender

    def known_login(self, typed: str) -> Sender | None:
        """The sender behind a login that somebody merely tried; None when nobody of that name has mailed."""
        return self._known(login_key(typed, self.policy.naming))

    def known_address(self, address: str, at: float) -> Sender | None:
        """The sender behind a client address if it is one of ours: in the directory, or charged before."""
        spelling = "ip " + address
        key = self._spellings.get(spelling) or self._spelled(spelling, ip_key(address))
        found = self.senders.get(key)
        if found is not None or key in self._strangers:
            return found
        found = self._known(key)
        if found is None and self._directory.get(key) is not None:
            found = self.get(key, at)
        if found is None:
            if len(self._strangers) >= MOST_SPELLINGS:
                self._strangers.clear()
            self._strangers.add(key)
        return found

    def _spelled(self, typed: str, key: str) -> str:
        if len(self._spellings) >= MOST_SPELLINGS:
            self._spellings.clear()
        self._spellings[typed] = key
        return key

    def _admit(self, key: str, first_seen: int, packed: bytes) -> Sender:
        kind = key.partition(":")[0]
        sender = Sender(key, self.policy.profile("", kind), first_seen, Ledger(packed))
        self.senders[key] = sender
        self._strangers.discard(key)
        self._place(sender, self._directory.get(key))
        return sender

    def _place(self, sender: Sender, entry: Entry | None) -> None:
        """Take over what the directory says, the customer as parent included. A script belongs to its user,
        and its user to the customer."""
        if sender.kind == "script":
            sender.under = sender.under or self.user_of(sender.key)
        if sender.under:
            sender.entry = entry or sender.entry
            sender.parent = self.get(sender.under, sender.first_seen)
            return
        if entry is None:
            return
        sender.entry = entry
        if sender.kind == "customer":
            return
        sender.parent = None
        if entry.customer:
            sender.parent = self.get(f"customer:{entry.customer}", sender.first_seen)
            self._sponsor(sender.parent, entry)

    def _sponsor(self, parent: Sender, entry: Entry) -> None:
        """A customer without an entry of its own has the roomiest profile among its senders."""
        own = parent.entry
        if own is None or self._room_of(entry.profile) > self._room_of(own.profile):
            parent.entry = replace(own or Entry(language=entry.language), profile=entry.profile)
            parent.look_again()

    def _room_of(self, profile: str) -> int:
        limits = self.policy.profile(profile, "customer").parent_limits
        flow = (x.amount * 86400 // x.window for x in limits if x.unit is Unit.RECIPIENTS)
        return min(flow, default=1 << 60)

    def put_to_rest(self, at: float, most: int) -> None:
        """Look at so many senders, and keep those packed that have been quiet for ``REST``.

        A sleeping sender costs a third and wakes up with its counts when it is needed. Customers and
        users stay, because their senders point to them.
        """
        for _ in range(most):
            key = next(self._patrol, None)
            if key is None:
                self._patrol = iter(list(self.senders))
                return
            sender = self.senders.get(key)
            if sender is not None and self._may_rest(sender, at):
                self._counts.rest(key, sender.first_seen, sender.ledger.pack())
                del self.senders[key]

    def _may_rest(self, sender: Sender, at: float) -> bool:
        return (
            max(sender.ledger.last_at(), sender.first_seen) + _stays_awake(sender) < at
            and sender.standing is INITIAL
            and sender.key not in self.overrides
            and sender.kind not in ("customer", "uid")
        )

    # --- rules ------------------------------------------------------------------------------

    def replan(self, sender: Sender, at: float) -> None:
        """Bring standing, exception, directory entry and limits up to date."""
        override = self.overrides.get(sender.key)
        if override is not None and override.until is not None and at >= override.until:
            self.drop_override(sender.key, at, "penstock:term")
            override = None
        sender.override = override or self.policy.overrides.get(sender.key)
        self._place(sender, self._directory.get(sender.key))
        sender.profile = profile_of(sender, self.policy)
        following = settled(sender, at)
        if following is not None:
            self.set_standing(sender, following)
        plan(sender, self.policy, self.watching_since, at)

    def watches_from(self, at: float) -> None:
        """It is known from elsewhere that senders have been watched since then (a baseline of past logs)."""
        self.watching_since = min(self.watching_since, at)

    def take_over(self, late: Remembered) -> None:
        """The records could be read only now: what they say holds, where nobody has decided since."""
        self.watches_from(late.installed_at)
        for key, override in late.overrides.items():
            self.overrides.setdefault(key, override)
        for key, standing in late.standings.items():
            sender = self.get(key, standing.since)
            if sender.standing is INITIAL:
                sender.standing = standing
        for sender in self.senders.values():
            sender.look_again()

    def adopt(self, policy: Policy) -> None:
        """Take over a new policy: every sender's limits are worked out again when next needed."""
        renamed = policy.naming != self.policy.naming
        self.policy = policy
        self._strangers.clear()
        if renamed:
            self._rename()
        for sender in self.senders.values():
            sender.look_again()

    def refresh(self, key: str) -> None:
        """The directory has learned something about that sender."""
        self._strangers.discard(key)
        found = self.senders.get(key)
        if found is not None:
            found.look_again()

    def _rename(self) -> None:
        """Logins that now have another canonical form: counts, standing and exception move there."""
        self._spellings.clear()
        sleeping = [key for key in self._counts.sleeping() if self._canonical(key) != key]
        for key in [*sleeping, *self.senders, *self.overrides]:
            new_key = self._canonical(key)
            if new_key != key:
                self._merge(key, new_key)

    def _rename_what_holds(self) -> None:
        """At start: the names may have changed meanwhile, and no pause may hang on an old name."""
        for key in list(self.senders | self.overrides):
            new_key = self._canonical(key)
            if new_key == key:
                continue
            sender = self.senders.get(key)
            if sender is not None and sender.standing.by == _MERGED:
                del self.senders[key]
            else:
                self._merge(key, new_key)

    def _canonical(self, key: str) -> str:
        kind, _, name = key.partition(":")
        return login_key(name, self.policy.naming) if kind == "login" else key

    def _merge(self, key: str, new_key: str) -> None:
        """One account under two names: the stricter standing holds, and the exception that is there."""
        old = self._known(key)
        override = self.overrides.pop(key, None)
        if override is not None:
            self._records.drop_override(key, self.watching_since, _MERGED)
            if new_key not in self.overrides:
                self.set_override(replace(override, sender=new_key), self.watching_since)
        if old is not None:
            self._move(old, key, new_key)

    def _move(self, old: Sender, key: str, new_key: str) -> None:
        """Counts and standing of ``old`` to the account of the new name, which may be the same object:
        messages under way point to it."""
        standing, counts = old.standing, list(old.ledger.counts())
        new = self._known(new_key)
        del self.senders[key]
        if new is None:
            new = self.senders[new_key] = old
            old.key, old.log_segment = new_key, 0
            self._place(old, self._directory.get(new_key))
        else:
            for at, counter, n in counts:
                new.ledger.add(counter, at, n)
        for at, counter, n in counts:
            self._counts.append(new, counter, at, n)
        if standing is not INITIAL:
            moved = Standing(State.OPEN, standing.since, _MERGED, f"now part of {new_key}")
            self._records.put_standing(key, standing, moved)
            if new is old or _STRICT.index(standing.state) > _STRICT.index(new.standing.state):
                self.set_standing(new, standing)

    def _known(self, key: str) -> Sender | None:
        try:
            return self.find(key)
        except UnknownSender:
            return None

    # --- standing and exceptions ------------------------------------------------------------

    def set_standing(self, sender: Sender, new: Standing) -> int:
        """Put a sender in a standing; returns the ticket of its record."""
        old, sender.standing = sender.standing, new
        sender.ticket = self._records.put_standing(sender.key, old, new)
        sender.look_again()
        self.on_standing(sender, old, new)
        return sender.ticket

    def change_standing(
        self, key: str, to: State, at: float, by: str, why: str, until: float | None, then: State
    ) -> int:
        """Somebody's decision about a sender, seen before or not; raises IllegalChange."""
        sender = self.get(key, at)
        self.replan(sender, at)
        return self.set_standing(sender, change(sender.standing, to, at, by, why, until, then))

    def set_override(self, override: Override, at: float) -> int:
        """An exception for one sender; returns the ticket of its record."""
        self.overrides[override.sender] = override
        self.refresh(override.sender)
        return self._records.put_override(override, at)

    def drop_override(self, key: str, at: float, by: str) -> int:
        """Take an exception back; raises UnknownSender when there is none."""
        if self.overrides.pop(key, None) is None:
            raise UnknownSender(f"{key} has no exception of its own")
        self.refresh(key)
        return self._records.drop_override(key, at, by)

    def not_open(self, at: float) -> Iterator[Sender]:
        """Senders with a standing other than open, ended terms settled."""
        for sender in list(self.senders.values()):
            if sender.standing is not INITIAL:
                if at >= sender.replan_at:
                    self.replan(sender, at)
                if sender.standing.state is not State.OPEN:
                    yield sender


def _stays_awake(sender: Sender) -> float:
    """For how many seconds without a count."""
    watch = sender.watch
    if watch is None:
        return REST
    return _SUSPECTED if watch.suspected_at > 0 else _WATCHED if watch.network else REST
