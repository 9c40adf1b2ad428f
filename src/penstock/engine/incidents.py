"""Incidents as they happen: opened by the detector's cases, enriched by each look, merged, closed.

Cost: a few figures of a case for each look at a sender under suspicion, one look-up for each answer that
stops somebody. Memory: ``MOST`` senders of incidents, some 2 KiB each; the oldest closed ones give way first.
"""

from __future__ import annotations

from itertools import islice
from typing import Final

from penstock.core.evidence import Finding
from penstock.core.incident import (
    MOST_SUSPECTS,
    NOTICED,
    REJOINS,
    BadIncident,
    Incident,
    Suspect,
    Verdict,
    new_id,
)
from penstock.core.ledger import Counter, window_since
from penstock.core.sender import Sender
from penstock.core.standing import Standing
from penstock.engine.case import Case
from penstock.engine.detector import BY
from penstock.engine.roster import Roster
from penstock.ports import Records, Remembered

DAY: Final = 86400
MOST: Final = 20_000
KEEP: Final = 90 * 86400.0
"""Seconds for which a closed incident is remembered."""

SWEEP_EVERY: Final = 600.0
SAVE_AFTER: Final = 10.0
"""Seconds that changed figures may wait to be recorded; what was done to a sender does not wait."""

NOW: Final = 0.0


class Incidents:
    """The incidents of one node, open and closed, by ID."""

    def __init__(self, roster: Roster, records: Records, remembered: Remembered) -> None:
        self.by_id: dict[str, Incident] = {}
        self._roster = roster
        self._records = records
        self._latest: dict[str, Incident] = {}
        self._campaigns: dict[str, Incident] = {}
        self._before: dict[str, tuple[float, int]] = {}
        self._changed: dict[tuple[str, str], float] = {}
        self._swept_at = 0.0
        self._suspects = 0
        self.take_over(remembered)

    def take_over(self, remembered: Remembered) -> None:
        """What the records held, oldest first."""
        for incident in sorted(remembered.incidents.values(), key=lambda found: found.opened_at):
            if incident.suspects and incident.id not in self.by_id:
                self._admit(incident)

    def get(self, code: str) -> Incident:
        """The incident of that ID; raises BadIncident."""
        found = self.by_id.get(code)
        if found is None:
            raise BadIncident(f"no incident {code} is known (closed ones are kept for 90 days)")
        return found

    def of(self, key: str) -> Incident | None:
        """The latest incident of a sender."""
        return self._latest.get(key)

    def named(self, key: str) -> str:
        """The ID of the incident for which a sender is held up now, else ""."""
        found = self._latest.get(key)
        return found.id if found is not None and _holds(found, key) else ""

    def suspected(self, key: str) -> tuple[float, float] | None:
        """From when to when the evidence last held a sender up; None: never, or it was its owner."""
        found = self._latest.get(key)
        if found is None or found.verdict is Verdict.LEGITIMATE or found.suspects[key].stopped_at is None:
            return None
        return found.suspects[key].opened_at, found.suspects[key].seen_at

    # --- what happens -----------------------------------------------------------------------

    def on_case(self, case: Case, sender: Sender) -> None:
        """The detector has looked at a sender under suspicion, or is no longer suspicious."""
        if case.closed_at is not None:
            self._let_go(sender.key, case.closed_at, "calm")
            return
        incident = self._belongs(case, sender)
        if incident is not None:
            self._enrich(incident, incident.suspects[sender.key], case, sender)

    def on_standing(self, sender: Sender, old: Standing, new: Standing) -> None:
        """A sender's standing has changed."""
        if old.stopped and not new.stopped:
            self._let_go(sender.key, new.since, "term" if new.by == "penstock:term" else "resumed")

    def on_stop(self, sender: Sender, recipients: int, at: float) -> None:
        """So many recipients were turned away because a sender is slowed, paused or locked."""
        incident = self._latest.get(sender.key)
        if incident is not None and _holds(incident, sender.key):
            incident.suspects[sender.key].stopped += recipients
            self._touch(incident, sender.key, at)

    def notice(self, sender: Sender, finding: Finding, at: float) -> Incident:
        """Something to tell about a sender whom nobody stops for it. What is not over takes it in."""
        own = self._latest.get(sender.key)
        if own is None or not own.joins(at):
            customer = sender.entry.customer if sender.entry is not None else ""
            suspect = Suspect(sender.key, at, at, at, customer, sender.profile.name, NOTICED)
            suspect.released_at = at
            own = Incident(new_id(sender.key, at, self.by_id), at, {sender.key: suspect})
            self._admit(own)
            self._touch(own, "", NOW)
        elif not own.is_open:
            own.reopen()
            self._touch(own, "", NOW)
        suspect = own.suspects[sender.key]
        if finding not in suspect.findings:
            others = (found for found in suspect.findings if found.signal != finding.signal)
            suspect.findings, suspect.seen_at = (*others, finding), at
            self._touch(own, sender.key, at)
        return own

    def _belongs(self, case: Case, sender: Sender) -> Incident | None:
        """The incident of a case: the sender's own that is not over, that of its campaign, or a new one. None
        for what comes late about a sender that has been judged and is stopped."""
        key, at = sender.key, case.looked_at
        own = self._latest.get(key)
        if own is not None and not own.joins(at):
            if own.verdict is Verdict.COMPROMISED and sender.standing.stopped:
                return None
            own = None
        if not case.slowed:
            return own if own is not None and own.is_open else None
        shared = self._campaigns.get(case.campaign) if case.campaign else None
        if shared is not None and (not shared.joins(at) or len(shared.suspects) >= MOST_SUSPECTS):
            shared = None
        if own is not None and shared is not None and own is not shared:
            own = self._merge(own, shared, at)
        found = own or shared or self._open(case, sender)
        if not found.is_open:
            found.reopen()
        if key not in found.suspects:
            self._join(found, self._suspect(case, sender))
        if case.campaign and not found.campaign:
            found.campaign = case.campaign
            self._campaigns[case.campaign] = found
        return found

    def _open(self, case: Case, sender: Sender) -> Incident:
        at = case.opened_at
        suspect = self._suspect(case, sender)
        shadow = self._roster.policy.detection.mode != "enforce"
        incident = Incident(
            new_id(sender.key, at, self.by_id), at, {sender.key: suspect}, case.campaign, shadow
        )
        self._admit(incident)
        self._touch(incident, "", NOW)
        self._touch(incident, sender.key, NOW)
        return incident

    def _suspect(self, case: Case, sender: Sender) -> Suspect:
        second, entry = int(case.looked_at), sender.entry
        window = max(1, min(DAY, window_since(sender.standing.since, second)))
        novel = (at for at, counter, n in sender.ledger.counts() if counter == Counter.NOVEL and n)
        began = next((at for at in novel if at > second - window), second)
        return Suspect(
            sender.key,
            case.opened_at,
            min(float(began), case.opened_at),
            case.seen_at,
            entry.customer if entry is not None else "",
            sender.profile.name,
            leak=sender.ledger.total(Counter.NOVEL, second, window),
        )

    def _enrich(self, incident: Incident, suspect: Suspect, case: Case, sender: Sender) -> None:
        """Take over what the look has found."""
        rules, at = self._roster.policy.detection, case.looked_at
        held = suspect.slowed_at, suspect.paused_at
        if case.suspicion > suspect.suspicion or not suspect.findings:
            if suspect.paused_at is None or incident.shadow:
                suspect.suspicion, suspect.prior = case.suspicion, rules.prior
                suspect.findings = case.findings
            for name, n in counts_of(sender, at, DAY).items():
                suspect.counts[name] = max(n, suspect.counts.get(name, 0))
        suspect.seen_at, suspect.released_at = case.seen_at, None
        suspect.profile = sender.profile.name
        if case.slowed and suspect.slowed_at is None:
            suspect.slowed_at = at
        if suspect.paused_at is None and self._is_paused(incident, case, sender):
            suspect.paused_at = at
        opened, before = self._before.get(sender.key, (0.0, 0))
        if opened != case.opened_at:
            before = suspect.leak - case.leak
            self._before[sender.key] = case.opened_at, before
        suspect.leak = before + case.leak
        self._touch(incident, sender.key, at if held == (suspect.slowed_at, suspect.paused_at) else NOW)

    def _is_paused(self, incident: Incident, case: Case, sender: Sender) -> bool:
        """Whether the evidence has paused the sender, or would have."""
        if incident.shadow:
            return case.suspicion >= self._roster.policy.detection.pause_at
        return sender.standing.stopped and sender.standing.by == BY

    def _merge(self, a: Incident, b: Incident, at: float) -> Incident:
        """Two incidents turn out to be one: the older one takes over the senders of the other."""
        kept, gone = (a, b) if (a.opened_at, a.id) <= (b.opened_at, b.id) else (b, a)
        for key, suspect in gone.suspects.items():
            if key not in kept.suspects:
                kept.suspects[key] = suspect
                self._suspects += 1
            self._latest[key] = kept
            self._before.pop(key, None)
            self._touch(kept, key, NOW)
        for campaign, incident in self._campaigns.items():
            if incident is gone:
                self._campaigns[campaign] = kept
        kept.campaign = kept.campaign or gone.campaign
        gone.closed_at, gone.how, gone.into = at, "merged", kept.id
        self._touch(gone, "", NOW)
        self._touch(kept, "", NOW)
        return kept

    def _let_go(self, key: str, at: float, how: str) -> None:
        """A sender is held up no longer; when all are let go, it is over."""
        incident = self._latest.get(key)
        if incident is None or not _holds(incident, key):
            return
        incident.suspects[key].released_at = at
        self._touch(incident, key, NOW)
        if incident.is_open and all(
            suspect.released_at is not None for suspect in incident.suspects.values()
        ):
            self._close(incident, at, how)

    def _close(self, incident: Incident, at: float, how: str) -> None:
        incident.close(at, how)
        self.changed(incident)

    def changed(self, incident: Incident) -> None:
        """All of it is to be recorded soon."""
        for key in ("", *incident.suspects):
            self._touch(incident, key, NOW)

    # --- time passes ------------------------------------------------------------------------

    def sweep(self, at: float) -> None:
        """Close what nothing more is heard of, forget what is long over."""
        if at - self._swept_at < SWEEP_EVERY:
            return
        self._swept_at = at
        for incident in list(self.by_id.values()):
            if incident.closed_at is not None:
                if incident.closed_at < at - KEEP:
                    self._forget(incident)
            elif at - incident.seen_at > REJOINS and not any(map(self._is_stopped, incident.suspects)):
                self._close(incident, at, "expiry")

    def _is_stopped(self, key: str) -> bool:
        sender = self._roster.senders.get(key)
        return sender is not None and sender.standing.stopped

    def save(self, most: int, at: float) -> None:
        """Record at most so many changes that are due."""
        due = (what for what, since in self._changed.items() if since + SAVE_AFTER <= at)
        for code, key in list(islice(due, most)):
            del self._changed[code, key]
            incident = self.by_id[code]
            if key:
                self._records.put_suspect(code, incident.suspects[key])
            else:
                self._records.put_incident(incident)

    # --- memory -----------------------------------------------------------------------------

    def _touch(self, incident: Incident, key: str, since: float) -> None:
        what = incident.id, key
        self._changed[what] = min(since, self._changed.get(what, since))

    def _admit(self, incident: Incident) -> None:
        self.by_id[incident.id] = incident
        for key in incident.suspects if not incident.into else ():
            self._latest[key] = incident
        if incident.campaign and not incident.into:
            self._campaigns[incident.campaign] = incident
        self._suspects += len(incident.suspects)
        if self._suspects > MOST:
            self._make_room(incident)

    def _join(self, incident: Incident, suspect: Suspect) -> None:
        incident.suspects[suspect.sender] = suspect
        self._latest[suspect.sender] = incident
        self._suspects += 1
        self._touch(incident, suspect.sender, NOW)

    def _make_room(self, new: Incident) -> None:
        """Forget the oldest closed ones, else the oldest: some at once, because looking for them takes a
        while."""
        others = [incident for incident in self.by_id.values() if incident is not new]
        for incident in sorted(others, key=lambda found: found.is_open):
            if self._suspects <= MOST - MOST // 20:
                break
            self._forget(incident)

    def _forget(self, incident: Incident) -> None:
        del self.by_id[incident.id]
        self._suspects -= len(incident.suspects)
        self._changed.pop((incident.id, ""), None)
        for key in incident.suspects:
            self._changed.pop((incident.id, key), None)
            if self._latest.get(key) is incident:
                del self._latest[key]
                self._before.pop(key, None)
        if incident.campaign:
            for name in [name for name, found in self._campaigns.items() if found is incident]:
                del self._campaigns[name]


def _holds(incident: Incident, key: str) -> bool:
    """Whether that sender of it is not let go yet."""
    may = incident.is_open or incident.verdict is Verdict.COMPROMISED
    return may and incident.suspects[key].released_at is None


def counts_of(sender: Sender, at: float, window: int) -> dict[str, int]:
    """What a sender's ledger counted within so many seconds: a counter's name → how many, zeros left out."""
    sums = sender.ledger.sums(int(at), (max(1, window),))[0]
    return {counter.name.lower(): sums[counter] for counter in Counter if sums[counter]}
