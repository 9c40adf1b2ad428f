"""Every key of the policy file, explained once: what is read is what is documented."""

from __future__ import annotations

from penstock.config import content, detection, local, professional, queue, rules, watch
from penstock.config.rules import BYTES, MESSAGES, RECIPIENTS, exception_of, limit_section, step_section
from penstock.config.scalars import (
    ACTION,
    ADDRESS_OR_OFF,
    ADDRESSES,
    ARGV,
    BOOL,
    CLIENT_TEXT,
    CONTACT,
    CUSTOMER,
    DATABASE,
    DURATION,
    DURATION_OR_OFF,
    FACTOR,
    FOLDER,
    FRACTION,
    LANGUAGE,
    MODE,
    MOMENT,
    NAME,
    PAIRS,
    QUERY,
    REALM,
    TEXT,
)
from penstock.config.table import Key, Kind, Section
from penstock.core.limits import Unit
from penstock.core.names import KINDS

TABLE: Kind[object] = Kind("table (below)", lambda value, spot: value, {})


def _table(name: str, doc: str) -> Key[object]:
    return Key(name, TABLE, doc)


# --- the file ---------------------------------------------------------------------------------

STATE = Key(
    "state",
    FOLDER,
    "Folder of all that Penstock remembers. It must belong to Penstock's user. A change takes effect "
    "at the next start.",
)
FILE_MODE = Key(
    "mode",
    MODE,
    "For all rules of limits: `shadow` counts and records what would have been done but refuses "
    "nothing, `off` drops the rules. The weaker of this, the profile's and the rule's own mode "
    "holds. A pause or lock that an administrator set holds in every mode.",
)
ON_ERROR = Key("on_error", ACTION, "The answer when a decision fails inside Penstock.")
FILE_LANGUAGE = Key(
    "language", LANGUAGE, "Language of the texts when the directory names none, or an unknown one."
)
NEWCOMER_WATCH = Key(
    "newcomer_watch",
    DURATION_OR_OFF,
    "So long after the installation nobody counts as new merely because Penstock has not seen "
    "them before. A `created` date from the directory counts at once.",
)
FILE = Section(
    "",
    "The keys at the top of the file, before any table. Every key may be left out: an empty file protects.",
    (
        STATE,
        FILE_MODE,
        ON_ERROR,
        FILE_LANGUAGE,
        NEWCOMER_WATCH,
        _table("listen", "Where Penstock listens."),
        _table("names", "How typed logins map to accounts."),
        _table("defaults", "Which profile holds for whom."),
        _table("profiles", "Limits and actions, by class of sender."),
        _table("senders", "Exceptions for single senders."),
        _table("texts", "What the client reads, by language."),
        _table("directory", "Who a sender is: customer, profile, language, contact, age."),
        _table("detection", "Recognising a sender in a stranger's hands."),
        _table("content", "What is read of a message's content."),
        _table("logs", "Logs to follow: what became of the mail."),
        _table("local", "Mail that scripts and local users hand in."),
        _table("reports", "Bounces and complaints that come in by mail."),
        _table("queue", "The MTA's queue: mail that is held."),
        _table("professional", "Professional customers: tags, signatures, pools."),
        Key("replies", TABLE, "Rules of your own for replies of other hosts, a list of tables (below)."),
    ),
)

POLICY = Key(
    "policy", ADDRESSES, "Where Postfix asks. Whoever can connect can charge any sender: keep it local."
)
MILTER = Key(
    "milter",
    ADDRESSES,
    "Where Postfix asks by the milter protocol about mail that is handed in on this machine (sendmail, PHP), "
    'for example `["unix:/var/spool/postfix/penstock/milter.sock"]`. SMTP sessions are let go.',
)
MILTER_SMTP = Key(
    "milter_smtp",
    ADDRESSES,
    "Where Postfix or Sendmail asks by the milter protocol about mail of SMTP clients, instead of `policy`: "
    "what is asked about at both is counted twice.",
)
MILTER_SMARTHOST = Key(
    "milter_smarthost",
    ADDRESSES,
    "Where Postfix asks by the milter protocol about the mail of professional customers (`[professional]`): "
    "tags are checked and taken out, mail is signed. All of each message is read, and no policy service is "
    "asked about it.",
)
HTTP = Key("http", ADDRESS_OR_OFF, "Metrics and health (`/metrics`, `/healthz`, `/readyz`).")
SILENCE = Key("silence", DURATION_OR_OFF, "Without a question for so long, an alarm is raised.")
LISTEN = Section(
    "listen",
    "Where Penstock listens. A change takes effect at the next start; port 0 means any free one.",
    (POLICY, MILTER, MILTER_SMTP, MILTER_SMARTHOST, HTTP, SILENCE),
)

DEFAULT_REALM = Key("default_realm", REALM, "Completes a login that has no `@`.")
PLUS_TAGS = Key("plus_tags", BOOL, "`alice+shop@example.com` is charged to `alice@example.com`.")
REALM_ALIASES = Key("realm_aliases", PAIRS, "Domain → the domain that counts.")
ALIASES = Key("aliases", PAIRS, "Login → the login that counts, after realm and `+tag` are settled.")
NAMES = Section(
    "names",
    "How typed logins map to accounts, so that one account has one quota. Case never matters.",
    (DEFAULT_REALM, PLUS_TAGS, REALM_ALIASES, ALIASES),
)

_KIND_DOCS = {
    "login": "Clients with a SASL login.",
    "uid": "Local users that submit mail.",
    "script": "Scripts that submit mail.",
    "ip": "Clients without login, by address (IPv6: by /64).",
    "customer": "Customers none of whose senders has a profile from the directory.",
}
DEFAULT_KEYS = {kind: Key(kind, NAME, _KIND_DOCS[kind]) for kind in KINDS}
DEFAULTS = Section(
    "defaults",
    "The profile of a sender about whom the directory says nothing else, by kind of sender.",
    tuple(DEFAULT_KEYS.values()),
)

# --- profiles ---------------------------------------------------------------------------------

LIKE = Key(
    "like",
    NAME,
    "The profile that this one inherits from, key by key. A new profile without it inherits from "
    "`personal`; a built-in one keeps its built-in values.",
)
PROFILE_MODE = Key("mode", MODE, "For all limits and pause rules of the profile; see `mode` above.")
NEWCOMER = Key(
    "newcomer",
    rules.steps_of("newcomer", 3650),
    "How limits grow with the days since the sender exists. When its factor is not 1, `trusted` waits.",
)
TRUSTED = Key(
    "trusted",
    rules.steps_of("trusted", 30),
    "How limits grow with the clean active days among the last 30.",
)
SLOWED = Key("slowed", FRACTION, "The fraction of the limits that a slowed sender has.")
PROBATION = Key("probation", FRACTION, "The fraction of the limits that a sender on probation has.")
PROBATION_FOR = Key("probation_for", DURATION, "How long the probation after a pause lasts.")
VOUCHED = Key(
    "vouched",
    FACTOR,
    "How far beyond its limits a sender may go while evidence speaks for it: what it sent today arrived. "
    "Needs `[detection]` in mode `enforce` and logs that are followed; 1: never. Of those who mostly "
    "write to whom they know, twenty times as far.",
)
OVER_LIMIT = Key("over_limit", ACTION, "What happens to a recipient beyond a limit.")
PAUSED = Key("paused", ACTION, "What happens to a paused sender's mail.")
LOCKED = Key("locked", ACTION, "What happens to a locked sender's mail.")
PAUSE = Key("pause", rules.PAUSES, "Rules that pause a sender that goes on beyond its limits.")
PARENTS = Key("parents", rules.PARENTS, "Limits for all senders of one customer together.")
PROFILE = Section(
    "profiles.NAME",
    "A class of senders. A key that a built-in profile has and the file leaves out keeps its built-in value.",
    (
        LIKE,
        PROFILE_MODE,
        RECIPIENTS,
        MESSAGES,
        BYTES,
        rules.OUTCOME_LIMITS_KEY,
        PARENTS,
        NEWCOMER,
        TRUSTED,
        SLOWED,
        PROBATION,
        PROBATION_FOR,
        VOUCHED,
        OVER_LIMIT,
        PAUSED,
        LOCKED,
        PAUSE,
        detection.USUAL,
    ),
)

# --- senders and texts ------------------------------------------------------------------------

SENDER_PROFILE = Key("profile", NAME, "The profile that holds instead of the directory's or the default.")
SENDER_LIMITS = (
    Key("recipients", exception_of(Unit.RECIPIENTS), "Replaces the profile's limits on recipients."),
    Key("messages", exception_of(Unit.MESSAGES), "Replaces the profile's limits on messages."),
    Key("bytes", exception_of(Unit.BYTES), "Replaces the profile's limits on bytes."),
    Key("outcomes", rules.OUTCOME_EXCEPTIONS, "Replaces the profile's limits on the outcomes that it names."),
)
UNTIL = Key("until", MOMENT, "The exception ends then: a date means its first moment. Without it, never.")
WHY = Key("why", TEXT, "For the next operator.")
SENDER = Section(
    'senders."KIND:NAME"',
    f'An exception for one sender, for example `[senders."login:news@example.com"]`. Kinds: '
    f"{', '.join(f'`{kind}`' for kind in KINDS)}. It needs a profile or a limit. Its limits hold as "
    "written: they do not grow, and the profile's mode does not weaken them.",
    (SENDER_PROFILE, *SENDER_LIMITS, UNTIL, WHY),
)

TEXT_KEYS = {
    name: Key(name, CLIENT_TEXT, doc)
    for name, doc in {
        "over_limit": "Beyond a limit.",
        "paused": "The sender is paused.",
        "locked": "The sender is locked.",
    }.items()
}
TEXTS = Section(
    "texts.LANGUAGE",
    "What the client reads, with a reference appended; it never tells a limit. What a language "
    "leaves out stays English.",
    tuple(TEXT_KEYS.values()),
)

# --- directory --------------------------------------------------------------------------------

_CUSTOMER = Key(
    "customer", CUSTOMER, "The customer to whom the sender belongs; all its senders share `parents`."
)
_PROFILE = Key("profile", NAME, "The sender's profile.")
_LANGUAGE = Key("language", LANGUAGE, "Language of the texts and notices.")
_CONTACT = Key("contact", CONTACT, "Where notices about the sender go.")
_CREATED = Key("created", MOMENT, "When the account was opened, for `newcomer`.")
ENTRY_KEYS = (_CUSTOMER, _PROFILE, _LANGUAGE, _CONTACT, _CREATED)
LOGIN = Section('directory.logins."LOGIN"', "One login, as it may be typed.", ENTRY_KEYS)
NETWORK = Section(
    'directory.networks."NETWORK"',
    "Clients without login by network, for example `192.0.2.0/24` or one address. The longest prefix holds. "
    "IPv6 clients are told apart by their /64.",
    ENTRY_KEYS,
)
CUSTOMER_KEY, PROFILE_KEY, LANGUAGE_KEY, CONTACT_KEY, CREATED_KEY = ENTRY_KEYS

URL = Key("url", DATABASE, "The database. With a password in it, keep the file from other users.", True)
SQL_QUERY = Key(
    "query",
    QUERY,
    "Yields one row for `:login` (the canonical login; its parts are `:local` and `:domain`) with the "
    "columns customer, profile, language, contact, created, by these names; those left out are "
    "unknown, no row is an unknown login. With `:key` (`kind:name`) other senders are asked for too.",
    True,
)
TTL = Key("ttl", DURATION, "How long an answer is believed.")
TIMEOUT = Key("timeout", DURATION, "An answer that takes longer is given up. No decision ever waits for one.")
PATIENCE = {"ttl": "10m", "timeout": "2s"}
"""What these two are in a source that leaves them out."""

SQL = Section(
    "directory.sql",
    "Logins from a database. A change takes effect at the next start.",
    (URL, SQL_QUERY, TTL, TIMEOUT),
)
COMMAND_ARGV = Key(
    "argv",
    ARGV,
    "The command and its arguments. The login is added as the last one; no shell is involved. It "
    "prints one JSON object with the keys of an entry, or ends with exit code 1 for an unknown login.",
    True,
)
COMMAND = Section(
    "directory.command",
    "Logins from a command. A change takes effect at the next start.",
    (COMMAND_ARGV, TTL, TIMEOUT),
)
DIRECTORY = Section(
    "directory",
    "Who a sender is. Entries in the file win; then the database is asked, then the command: the "
    "first that knows the sender answers.",
    (
        _table("logins", "Entries by login."),
        _table("networks", "Entries by client network."),
        _table("sql", "A database."),
        _table("command", "A command."),
    ),
)

SECTIONS = (
    FILE,
    LISTEN,
    NAMES,
    DEFAULTS,
    PROFILE,
    limit_section(Unit.RECIPIENTS),
    rules.OUTCOME_SECTION,
    rules.PARENTS_SECTION,
    step_section("newcomer", 3650),
    step_section("trusted", 30),
    rules.PAUSE_SECTION,
    detection.USUAL_SECTION,
    SENDER,
    TEXTS,
    DIRECTORY,
    LOGIN,
    NETWORK,
    SQL,
    COMMAND,
    detection.DETECTION,
    content.CONTENT,
    watch.LOG,
    local.LOCAL,
    watch.REPORTS,
    queue.QUEUE,
    professional.PROFESSIONAL,
    professional.DKIM_SECTION,
    watch.REPLY,
)
"""All tables, in the order of the reference."""
