"""What a policy file comes to."""

import itertools
import tomllib
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import private
from penstock.config import Address, ConfigError, effective_toml, load, parse, parse_address
from penstock.config.keys import SECTIONS
from penstock.config.merge import builtin_text
from penstock.config.replies import own_rules
from penstock.config.settings import ContentSettings, LocalSettings, LogSource, QueueSettings, ReportSettings
from penstock.config.table import Section
from penstock.core.evidence import ORDINARY, Detection, Usual
from penstock.core.limits import FLOW, OUTCOMES, Limit, Unit, parse_outcome
from penstock.core.names import KINDS
from penstock.core.policy import Action, Entry, Override, PauseRule, Policy, Step, Texts, Verb
from penstock.core.replies import Classifier, ReplyClass
from penstock.wire.weblog import Roots

NOW = 1_800_000_000.0


def day(year: int, month: int, of_month: int) -> float:
    return datetime(year, month, of_month, tzinfo=UTC).timestamp()


def test_an_empty_file_protects() -> None:
    settings = parse("")
    assert settings == load(None)
    assert settings.warnings == ()
    assert list(settings.policy.profiles) == ["personal", "professional", "newsletter", "script", "relay"]
    for profile in settings.policy.profiles.values():
        units = {limit.unit for limit in profile.limits}
        assert {*FLOW, Unit.COMPLAINTS} <= units <= {*FLOW, Unit.UNKNOWN_USER, Unit.COMPLAINTS}
        assert (Unit.UNKNOWN_USER in units) == (profile.name not in ("personal", "script"))
        assert all(limit.mode == "enforce" for limit in profile.limits)
        assert profile.parent_limits and profile.pauses and profile.newcomer
        assert profile.pauses[0].lasts is not None
    assert settings.policy.detection.mode == "enforce", "evidence looks at what comes back of personal mail"
    assert set(settings.policy.defaults) == set(KINDS)
    assert settings.listen.policy == (Address("127.0.0.1", 10040),)
    assert settings.listen.milter == settings.listen.milter_smtp == ()
    assert settings.listen.http == Address("127.0.0.1", 10048)
    assert settings.state == Path("/var/lib/penstock")
    assert settings.silence == 3600
    assert settings.logs == {} and settings.reports == ReportSettings()
    assert settings.queue == QueueSettings(), "the built-in policy says what the settings' defaults say"
    assert settings.policy.replies == own_rules()


def test_built_in_values_agree_with_the_cores() -> None:
    policy = parse("").policy
    core = Policy({})
    assert policy.texts == core.texts and policy.defaults == dict(core.defaults)
    assert (policy.naming, policy.language, policy.on_error, policy.newcomer_watch) == (
        core.naming,
        core.language,
        core.on_error,
        core.newcomer_watch,
    )


def test_programs_without_a_queue_are_held() -> None:
    script = parse("").policy.profiles["script"]
    assert script.over_limit.verb is script.paused.verb is Verb.HOLD


def test_nobody_is_paused_for_what_a_legitimate_list_has() -> None:
    """A clean list brings back up to 3.6 % once; only shares may stop whoever mails to thousands."""
    for name in ("professional", "newsletter", "relay"):
        profile = parse("").policy.profiles[name]
        outcomes = [limit for limit in profile.limits if limit.unit in OUTCOMES]
        assert all(limit.share >= 0.003 for limit in outcomes)
        assert {rule.limit.unit for rule in profile.pauses} == {Unit.REFUSED}


EVERYTHING = """
state = "/srv/penstock"
mode = "enforce"
on_error = "defer"
language = "de"
newcomer_watch = "off"
[listen]
policy = ["[::1]:10040", "unix:/run/penstock/policy.sock"]
milter = ["unix:/run/penstock/milter.sock"]
milter_smtp = "127.0.0.1:10042"
milter_smarthost = ["127.0.0.1:10043"]
http = "off"
silence = 0
[names]
default_realm = "Example.com"
plus_tags = false
realm_aliases = { "OLD.example." = "example.com" }
aliases = { "Alice.Smith@old.example" = "alice" }
[defaults]
login = "school"
uid = "script"
script = "script"
ip = "relay"
customer = "school"
[profiles.school]
like = "newsletter"
mode = "enforce"
recipients = ["100/m", { limit = "250/h", mode = "shadow" }, { limit = "1/d", mode = "off" }]
messages = "30/m"
bytes = []
outcomes = ["unknown-user 25/h", { limit = "complaints 0.1 %/day min 3", mode = "shadow" },
    { limit = "bounced 9/d", mode = "off" }]
parents = { recipients = ["1000/h"], messages = [], bytes = { limit = "1GB/d" }, outcomes = "reputation 9/w" }
newcomer = [{ days = 0, factor = 0.5 }, { days = 2.5, factor = 1 }]
trusted = { days = 5, factor = 2 }
slowed = 0.2
probation = 0.5
probation_for = "2d"
vouched = 3
over_limit = "mark X-Over-Limit: yes"
paused = "reroute slow:[192.0.2.1]:25"
locked = "discard"
pause = [{ refused = "5/h" }, { refused = "9/d", for = "12h", mode = "shadow" },
    { refused = "1/w", mode = "off" }, { outcome = "unknown-user 60/d", for = "6h" },
    { outcome = "content 5%/2h min 7", mode = "shadow" }]
usual = { novel = 12, recipients = 80, envelopes = 3 }
[senders."login:News+x@old.example"]
profile = "newsletter"
recipients = ["5000/h"]
messages = ["1/h"]
bytes = ["1MB/h"]
outcomes = ["unknown-user 500/h", { limit = "complaints 5/d", mode = "shadow" }]
until = 2027-01-01
why = "agreed"
[texts.en]
over_limit = "too many"
paused = "paused"
locked = "locked"
[texts.DE]
paused = "angehalten"
[directory.logins."Bob@OLD.example"]
customer = 4711
profile = "personal"
language = "DE"
contact = "bob@example.com"
created = "2024-05-01T12:00:00+02:00"
[directory.networks."192.0.2.0/24"]
customer = "4712"
profile = "relay"
language = "en"
contact = "desk@example.com"
created = 2020-01-01
[directory.sql]
url = "postgresql://u:p@h/db"
query = "SELECT 1 WHERE login = :login"
ttl = "1h"
timeout = "5s"
[directory.command]
argv = ["/bin/true", "-x"]
ttl = "1m"
timeout = "1s"
[content]
fingerprints = false
clients = true
score_header = "X-Spamd-Result"
score_limit = 12.5
[detection]
mode = "enforce"
false_pauses = 0.5
missed = 0.02
compromised = 2
canaries = 6
lasts = "12h"
silent = ["campaign", "known-dead"]
traps = ["trap@example.com", "Old.Trap@example.net"]
geo = "GEO"
[logs.mail]
file = "/var/log/mail.log"
counted = "all"
time_zone = "Europe/Berlin"
from_beginning = true
silence = "30m"
[logs.inst-2]
journal = ["postfix@-.service", "exim4.service"]
counted = "none"
[logs.web]
file = "/var/log/access.log"
kind = "access"
root = "/srv/www/{host}"
roots = {"www.example.com" = "/srv/main"}
[local]
shared_users = [33, "www-data"]
relays = ["192.0.2.0/24"]
[reports]
listen = ["unix:/run/penstock/lmtp.sock"]
recipients = ["Bounces@Example.com", "fbl@example.com"]
header = true
[queue]
mta = "postfix"
config_dirs = ["/etc/postfix", "/etc/postfix-out"]
helper = "/run/queue.sock"
helper_command = ["/usr/bin/sudo", "-n", "/opt/penstock/bin/penstock-queue-helper"]
release_per_minute = 600
held_messages = 50
held_bytes = "1GB"
compromised = "drop"
[[replies]]
name = "our partner"
class = "throttled"
phrases = ["slow down * please", "wait # seconds"]
providers = ["partner.example"]
codes = ["4", "x.7.1"]
permanent = false
[[replies]]
name = "by code"
class = "policy"
codes = "550"
[professional.acme]
header = "X-Acme-Token"
secrets = ["file:TAGS"]
networks = ["192.0.2.0/28", "2001:db8::/48"]
logins = ["Mailer@Acme.example"]
profile = "school"
pool = "best"
feedback_id = "a:b:c:d"
cfbl_address = "fbl@example.com; report=arf"
notice = ["complaints 0.01%/d min 3"]
[[professional.acme.dkim]]
domain = "Acme.Example"
selector = "S1"
key = "KEY"
expires = "7d"
""".replace("TAGS", str(private.TAGS)).replace("KEY", str(private.KEY))
EVERYTHING = EVERYTHING.replace("GEO", str(private.GEO))


def tables_at(document: dict[str, Any], path: str) -> list[dict[str, Any]]:
    """The tables of EVERYTHING at a section's path."""
    found: list[Any] = [document]
    for part in path.split(".") if path else ():
        name = part.strip('"').removesuffix("[]")
        found = [inner for table in found for inner in (table.values() if name.isupper() else [table[name]])]
    if path.endswith("[]"):
        found = [item for items in found for item in items if isinstance(item, dict)]
    return found


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.path or "top")
def test_every_key_is_tried(section: Section) -> None:
    """Keeps EVERYTHING complete, and the tests below with it."""
    document = tomllib.loads(EVERYTHING)
    document["profiles"]["school"]["trusted"] = [document["profiles"]["school"]["trusted"]]
    found = {key for table in tables_at(document, section.path) for key in table}
    assert found == set(section.names)


def test_everything_at_the_top() -> None:
    settings = parse(EVERYTHING, at=day(2026, 1, 1))
    assert settings.warnings == ("profiles.school.paused: a milter cannot reroute: such mail is held",)
    assert settings.state == Path("/srv/penstock")
    assert settings.listen.milter == (Address(path="/run/penstock/milter.sock"),)
    assert settings.listen.milter_smtp == (Address("127.0.0.1", 10042),)
    assert [str(address) for address in settings.listen.policy] == [
        "[::1]:10040",
        "unix:/run/penstock/policy.sock",
    ]
    assert settings.listen.http is None and settings.silence == 0
    policy = settings.policy
    assert policy.on_error == Action(Verb.DEFER) and policy.newcomer_watch == 0
    assert policy.defaults["login"] == "school"
    assert policy.naming.default_realm == "example.com" and not policy.naming.plus_tags
    assert policy.naming.realm_aliases == {"old.example": "example.com"}
    assert policy.naming.aliases == {"alice.smith@example.com": "alice@example.com"}
    assert policy.language == "de"
    assert policy.texts["de"] == Texts("too many", "angehalten", "locked")


def test_everything_in_a_profile() -> None:
    school = parse(EVERYTHING).policy.profiles["school"]
    assert school.limits == (
        Limit(Unit.RECIPIENTS, 100, 60),
        Limit(Unit.RECIPIENTS, 250, 3600, "shadow"),
        Limit(Unit.MESSAGES, 30, 60),
        Limit(Unit.UNKNOWN_USER, 25, 3600),
        Limit(Unit.COMPLAINTS, 3, 86400, "shadow", 0.001),
    )
    assert school.parent_limits == (
        Limit(Unit.RECIPIENTS, 1000, 3600),
        Limit(Unit.BYTES, 1 << 20, 86400),
        Limit(Unit.REPUTATION, 9, 7 * 86400),
    )
    assert school.newcomer == (Step(0, 0.5), Step(2.5, 1)) and school.trusted == (Step(5, 2),)
    assert (school.slowed, school.probation, school.probation_for) == (0.2, 0.5, 2 * 86400)
    assert school.vouched == 3
    assert str(school.over_limit) == "mark X-Over-Limit: yes"
    assert str(school.paused) == "reroute slow:[192.0.2.1]:25"
    assert school.locked == Action(Verb.DISCARD)
    assert school.pauses == (
        PauseRule(Limit(Unit.REFUSED, 5, 3600), None),
        PauseRule(Limit(Unit.REFUSED, 9, 86400, "shadow"), 43200),
        PauseRule(Limit(Unit.UNKNOWN_USER, 60, 86400), 6 * 3600),
        PauseRule(Limit(Unit.CONTENT, 7, 7200, "shadow", 0.05), None),
    )


def test_everything_about_content() -> None:
    assert parse(EVERYTHING).content == ContentSettings(False, True, "x-spamd-result", 12.5)
    assert parse("content.clients = true").content == ContentSettings(True, True, "", 10.0)


def test_everything_about_detection() -> None:
    policy = parse(EVERYTHING).policy
    traps = frozenset({"trap@example.com", "old.trap@example.net"})
    silent = ("campaign", "known-dead")
    geo = str(private.GEO)
    assert policy.detection == Detection("enforce", 0.5, 0.02, 2, 6, 12 * 3600, silent, traps, geo)
    assert policy.profiles["school"].usual == Usual(12, 80, 3)


@pytest.mark.parametrize("file_mode", ["off", "shadow", "enforce"])
@pytest.mark.parametrize("own_mode", ["off", "shadow", "enforce"])
def test_detection_has_the_weaker_mode_of_file_and_table(file_mode: str, own_mode: str) -> None:
    found = parse(f'mode = "{file_mode}"\ndetection.mode = "{own_mode}"').policy.detection.mode
    assert found == min(file_mode, own_mode, key=["off", "shadow", "enforce"].index)


def test_a_pause_by_evidence_lasts_until_somebody_resumes_unless_the_file_says_how_long() -> None:
    assert parse('detection.lasts = "off"').policy.detection.lasts is None
    assert parse('detection.lasts = "6h"').policy.detection.lasts == 6 * 3600


def test_all_risks_that_may_be_written_give_thresholds_in_order() -> None:
    """Nobody is paused for nothing, whatever is written."""
    for risks in itertools.product((2e-7, 0.1, 1000), (2e-7, 0.01, 0.5), (2e-7, 1, 1000)):
        words = dict(zip(("false_pauses", "missed", "compromised"), risks, strict=True))
        detection = parse(
            "".join(f"detection.{key} = {risk}\n" for key, risk in words.items())
        ).policy.detection
        assert detection.prior < detection.slow_at < detection.pause_at


def test_what_is_usual_is_replaced_as_a_whole_and_inherited() -> None:
    profiles = parse(
        '[profiles.professional.usual]\nnovel = 500\n[profiles.a]\nlike = "newsletter"'
    ).policy.profiles
    assert profiles["professional"].usual == Usual(novel=500)
    assert profiles["a"].usual == profiles["newsletter"].usual != ORDINARY


def test_everything_about_senders_and_directory() -> None:
    settings = parse(EVERYTHING, at=day(2026, 1, 1))
    key = "login:news+x@example.com"
    limits = (
        Limit(Unit.RECIPIENTS, 5000, 3600),
        Limit(Unit.MESSAGES, 1, 3600),
        Limit(Unit.BYTES, 1024, 3600),
        Limit(Unit.UNKNOWN_USER, 500, 3600),
        Limit(Unit.COMPLAINTS, 5, 86400, "shadow"),
    )
    expected = Override(key, "newsletter", limits, day(2027, 1, 1), why="agreed")
    assert settings.policy.overrides == {key: expected}
    directory = settings.directory
    bob = Entry("4711", "personal", "de", "bob@example.com", day(2024, 5, 1) + 10 * 3600)
    assert directory.logins == {"login:bob@example.com": bob}
    assert directory.networks == {
        "192.0.2.0/24": Entry("4712", "relay", "en", "desk@example.com", day(2020, 1, 1))
    }
    assert directory.sql is not None and directory.command is not None
    assert (directory.sql.ttl, directory.sql.timeout) == (3600, 5)
    assert directory.command.argv == ("/bin/true", "-x")


def test_everything_about_what_comes_back() -> None:
    settings = parse(EVERYTHING, at=day(2026, 1, 1))
    assert settings.logs == {
        "mail": LogSource(Path("/var/log/mail.log"), (), "all", "Europe/Berlin", True, 1800),
        "inst-2": LogSource(None, ("postfix@-.service", "exim4.service"), "none"),
        "web": LogSource(
            Path("/var/log/access.log"), roots=Roots({"www.example.com": "/srv/main"}, "/srv/www/{host}")
        ),
    }
    assert settings.local == LocalSettings(("33", "www-data"), (ip_network("192.0.2.0/24"),))
    address = Address(path="/run/penstock/lmtp.sock")
    assert settings.reports == ReportSettings((address,), ("bounces@example.com", "fbl@example.com"), True)
    assert settings.queue == QueueSettings(
        "postfix",
        ("/etc/postfix", "/etc/postfix-out"),
        Path("/run/queue.sock"),
        ("/usr/bin/sudo", "-n", "/opt/penstock/bin/penstock-queue-helper"),
        600,
        50,
        1 << 30,
        "drop",
    )
    acme = settings.professional["acme"]
    assert acme.tag.logins == ("login:mailer@acme.example",) and len(acme.tag.secrets) == 2
    ((domain, selector, lasts),) = ((one.domain, one.selector, one.lasts) for one in acme.signers)
    assert (domain, selector, lasts) == ("acme.example", "s1", 7 * 86400)
    assert (acme.profile, acme.pool, acme.notice) == (
        "school",
        "best",
        (parse_outcome("complaints 0.01%/d min 3"),),
    )
    own = settings.policy.replies[:2]
    assert settings.policy.replies[2:] == own_rules()
    assert [(rule.name, rule.reply_class, rule.codes, rule.permanent) for rule in own] == [
        ("our partner", "throttled", ("4", "x.7.1"), False),
        ("by code", "policy", ("550",), None),
    ]
    classify = Classifier(settings.policy.replies).classify
    slow = classify("421 4.7.0 Slow down, I say, please", "", "mx.partner.example[192.0.2.1]:25")
    assert slow == (ReplyClass.THROTTLED, False, "our partner")


@pytest.mark.parametrize("file_mode", ["off", "shadow", "enforce"])
@pytest.mark.parametrize("profile_mode", ["off", "shadow", "enforce"])
@pytest.mark.parametrize("rule_mode", ["off", "shadow", "enforce"])
def test_the_weakest_mode_holds(file_mode: str, profile_mode: str, rule_mode: str) -> None:
    profile = parse(
        f'mode = "{file_mode}"\n[profiles.personal]\nmode = "{profile_mode}"\nmessages = []\nbytes = []\n'
        f'recipients = {{ limit = "1/h", mode = "{rule_mode}" }}\n'
        f'outcomes = {{ limit = "bounced 1/h", mode = "{rule_mode}" }}\n'
        f'parents = {{ messages = {{ limit = "1/h", mode = "{rule_mode}" }} }}\n'
        f'pause = [{{ refused = "1/h", mode = "{rule_mode}" }},\n'
        f'{{ outcome = "bounced 1/h", mode = "{rule_mode}" }}]\n'
    ).policy.profiles["personal"]
    order = ["off", "shadow", "enforce"]
    weakest = min((file_mode, profile_mode, rule_mode), key=order.index)
    rules = [*profile.limits, *profile.parent_limits, *(rule.limit for rule in profile.pauses)]
    assert [rule.mode for rule in rules] == ([] if weakest == "off" else [weakest] * 5)


def test_profiles_are_overridden_key_by_key() -> None:
    policy = parse('[profiles.relay]\nrecipients = ["1/h"]').policy
    built_in = parse("").policy.profiles["relay"]
    relay = policy.profiles["relay"]
    assert relay.limits[0] == Limit(Unit.RECIPIENTS, 1, 3600)
    assert relay.limits[1:] == built_in.limits[3:]
    assert relay.pauses == built_in.pauses


def test_profiles_inherit_what_the_file_says_of_others() -> None:
    policy = parse(
        '[profiles.b]\nlike = "a"\nslowed = 0.3\n[profiles.a]\nprobation = 0.7\n'
        '[profiles.personal]\nlocked = "hold"'
    ).policy
    b = policy.profiles["b"]
    assert (b.name, b.slowed, b.probation, b.locked) == ("b", 0.3, 0.7, Action(Verb.HOLD))
    assert b.limits == parse("").policy.profiles["personal"].limits


def test_a_built_in_profile_may_be_like_another() -> None:
    profiles = parse('[profiles.personal]\nlike = "relay"\nslowed = 0.5').policy.profiles
    assert profiles["personal"].limits == profiles["relay"].limits and profiles["personal"].slowed == 0.5


def test_an_ended_exception_stays_in_the_policy_with_its_end() -> None:
    settings = parse("[senders.'uid:33']\nprofile = 'relay'\nuntil = 2020-01-01T00:00:00+01:00", at=NOW)
    assert settings.policy.overrides["uid:33"].until == day(2020, 1, 1) - 3600


def test_addresses() -> None:
    assert parse_address("localhost:0") == Address("localhost", 0)
    with pytest.raises(ValueError, match="HOST:PORT"):
        parse_address("::1:10040")


# --- round trip -------------------------------------------------------------------------------


def again(text: str) -> None:
    """What ``show`` prints loads to the same settings, and prints the same again."""
    settings = parse(text, at=NOW)
    shown = effective_toml(settings.document)
    loaded = parse(shown, at=NOW)
    assert loaded == settings
    assert effective_toml(loaded.document) == shown


def test_round_trips() -> None:
    for text in ("", EVERYTHING, builtin_text(), '[profiles.b]\nlike = "a"\n[profiles.a]\nlike = "script"'):
        again(text)


def test_strings_of_all_kinds_round_trip() -> None:
    again("[senders.'script:/a \"b\"\\c']\nprofile = 'relay'\nwhy = 'say \"ö\" \\ …'\n")


amounts = st.integers(0, 10**6)
windows = st.sampled_from(["s", "10s", "m", "15m", "h", "d", "w", "32d"])
modes = st.sampled_from(["off", "shadow", "enforce"])
limit_texts = st.builds("{}/{}".format, amounts, windows)
outcome_texts = st.builds(
    "{} {}/{}".format,
    st.sampled_from(sorted(OUTCOMES)),
    st.integers(1, 999) | st.builds("{:.6f} %".format, st.floats(1e-6, 100)),
    windows,
).map(lambda text: f"{text} min 3" if "%" in text else text)
outcomes = st.lists(
    outcome_texts | st.fixed_dictionaries({"limit": outcome_texts, "mode": modes}), max_size=4
)
limits = st.lists(limit_texts | st.fixed_dictionaries({"limit": limit_texts, "mode": modes}), max_size=4)
actions = st.sampled_from(["pass", "mark X-A: b", "defer", "hold", "reject", "discard", "reroute slow:x"])
profile_names = st.sampled_from(["personal", "relay", "script", "one", "two"])
profiles = st.fixed_dictionaries(
    {"like": st.sampled_from(["newsletter", "professional"])},
    optional={
        "mode": modes,
        "recipients": limits,
        "messages": limits,
        "outcomes": outcomes,
        "parents": st.fixed_dictionaries({}, optional={"recipients": limits, "outcomes": outcomes}),
        "slowed": st.floats(0.001, 1),
        "over_limit": actions,
        "paused": actions,
        "pause": st.lists(
            st.fixed_dictionaries({"refused": limit_texts}, optional={"mode": modes})
            | st.fixed_dictionaries({"outcome": outcome_texts}, optional={"mode": modes})
        ),
    },
)
documents = st.fixed_dictionaries(
    {},
    optional={"mode": modes, "on_error": actions, "profiles": st.dictionaries(profile_names, profiles)},
)


@given(documents)
def test_any_policy_round_trips(document: dict[str, Any]) -> None:
    again(effective_toml(document))


scalars = st.one_of(
    st.none().map(lambda _: []),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters(exclude_categories=["Cs"])),
    limit_texts,
    st.datetimes(),
    st.dates(),
    st.times(),
)
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
known = st.sampled_from(sorted({key.name for section in SECTIONS for key in section.keys}))
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(names | known | profile_names, inner, max_size=4)
    ),
    max_leaves=8,
)
tables = st.sampled_from(
    [
        "listen",
        "names",
        "defaults",
        "profiles",
        "senders",
        "texts",
        "directory",
        "detection",
        "logs",
        "local",
        "reports",
        "queue",
        "replies",
    ]
)


@given(st.dictionaries(tables | known, values, max_size=4))
def test_any_document_loads_or_is_refused_with_problems(document: dict[str, Any]) -> None:
    try:
        again(effective_toml(document))
    except ConfigError as wrong:
        assert wrong.problems and str(wrong)


@given(st.lists(st.tuples(known, scalars), max_size=3), st.sampled_from([s.path for s in SECTIONS if s.path]))
def test_any_value_of_any_key_loads_or_is_refused(pairs: list[tuple[str, Any]], path: str) -> None:
    document: dict[str, Any] = {}
    table = document
    for part in path.replace('"', "").replace("KIND:NAME", "uid:1").replace("NETWORK", "::1").split("."):
        inner: dict[str, Any] = {}
        name = part.replace("LANGUAGE", "de").replace("NAME", "personal")
        table[name.removesuffix("[]")] = [inner] if name.endswith("[]") else inner
        table = inner
    table.update(pairs)
    try:
        again(effective_toml(document))
    except ConfigError as wrong:
        assert wrong.problems
