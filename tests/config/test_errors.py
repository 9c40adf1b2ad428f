"""Every error at once, each with its place, the value, and what is allowed."""

import stat

import pytest

from penstock.config import ConfigError, load, parse
from penstock.core.limits import OUTCOMES, Unit
from penstock.core.replies import ReplyClass

NOW = 1_800_000_000.0

OUTCOME_NAMES = ", ".join(unit for unit in Unit if unit in OUTCOMES)

GOLDEN = {
    # the file
    'mode = "enforced"': 'mode: "enforced": must be one of off, shadow, enforce',
    'on_eror = "pass"': 'on_eror: unknown key; did you mean "on_error"?',
    "xyzzy = 1": "xyzzy: unknown key (known: content, defaults, detection, directory, language, listen, "
    "local, logs, mode, names, newcomer_watch, on_error, professional, profiles, queue, replies, reports, "
    "senders, state, texts)",
    'state = "var/lib"': 'state: "var/lib": must be an absolute path',
    "state = 5": "state: 5: must be a string, in quotes",
    'language = "de"': 'language: "de": has no texts (known: en)',
    'on_error = "reject now"': 'on_error: "reject now": write "reject" alone '
    "(the client's text is set under [texts])",
    "listen = 5": "listen: 5: must be a table",
    # listeners
    'listen.policy = ["10040"]': 'listen.policy[0]: "10040": write HOST:PORT, [IPV6]:PORT or unix:/PATH',
    'listen.policy = "[::1]:99999"': 'listen.policy: "[::1]:99999": '
    "write HOST:PORT, [IPV6]:PORT or unix:/PATH",
    'listen.http = "unix:x"': 'listen.http: "unix:x": '
    "a Unix socket needs an absolute path of at most 107 bytes",
    'listen.policy = ["a:1", "a:1"]': 'listen.policy[1]: "a:1": stands here twice',
    'listen.milter = "unix:x"': 'listen.milter: "unix:x": '
    "a Unix socket needs an absolute path of at most 107 bytes",
    'listen.milter_smtp = ["x"]': 'listen.milter_smtp[0]: "x": write HOST:PORT, [IPV6]:PORT or unix:/PATH',
    "listen.silence = 3600": 'listen.silence: 3600: a duration has a unit: write "3600s" or, say, "2h" '
    "(s, m, h, d, w)",
    'listen.silence = "1x"': 'listen.silence: "1x": not a duration '
    '(write a number and s, m, h, d or w, for example "2h")',
    'newcomer_watch = "999999w"': 'newcomer_watch: "999999w": longer than 100 years',
    # names
    'names.plus_tags = "no"': 'names.plus_tags: "no": must be true or false, without quotes',
    'names.default_realm = "a@b"': 'names.default_realm: "a@b": '
    'must be a domain such as "example.com", without "@"',
    'names.realm_aliases = {"a.b" = "c", c = "d"}': 'names.realm_aliases."a.b": "c": '
    'is itself an alias; write "d"',
    'names.aliases = {a = "A"}': 'names.aliases.a: "a": leads to itself',
    "names.aliases = {a = 1}": "names.aliases.a: 1: must be a string, in quotes",
    # profiles
    '[profiles.personl]\nrecipients = ["1/h"]': 'profiles.personl: unknown profile; did you mean "personal" '
    '(if it is meant as a new one, give it like = "personal")',
    '[profiles."a b"]': "profiles.\"a b\": \"a b\": a name is up to 64 letters, digits, '-', '_' and '.'",
    "profiles.personal = 3": "profiles.personal: 3: must be a table",
    'defaults.login = "persnal"': 'defaults.login: "persnal": no such profile; did you mean "personal"?',
    'defaults.logn = "personal"': 'defaults.logn: unknown key; did you mean "login"?',
    '[profiles.x]\nlike = "relai"': 'profiles.x.like: "relai": no such profile; did you mean "relay"?',
    '[profiles.x]\nlike = "x"': 'profiles.x.like: "x": goes in a circle (x → x)',
    '[profiles.a]\nlike = "b"\n[profiles.b]\nlike = "a"': 'profiles.b.like: "a": '
    "goes in a circle (a → b → a)",
    '[profiles.personal]\nrecipient = ["1/h"]': "profiles.personal.recipient: unknown key; "
    'did you mean "recipients"?',
    '[profiles.personal]\nrecipients = ["100/x"]': 'profiles.personal.recipients[0]: "100/x": '
    'unknown unit "x" (s, m, h, d, w)',
    '[profiles.personal]\nrecipients = ["1/h", {limit = "9"}]': 'profiles.personal.recipients[1].limit: "9": '
    'not a limit (write AMOUNT/WINDOW, for example "200/h")',
    '[profiles.personal]\nrecipients = [{mode = "off"}]': "profiles.personal.recipients[0]: "
    '"limit" is missing (limit)',
    '[profiles.personal]\nbytes = "10/h"': 'profiles.personal.bytes: "10/h": '
    'bytes need KB, MB or GB (for example "500MB/d")',
    '[profiles.personal]\nparents = {recipients = "1/99w"}': 'profiles.personal.parents.recipients: "1/99w": '
    "the window must be between 1 second and 32 days",
    "[profiles.personal]\nnewcomer = [{days = 0, factor = 0}]": "profiles.personal.newcomer[0].factor: 0: "
    "must be a number above 0, up to 1000",
    "[profiles.personal]\nnewcomer = [{days = 0, factor = nan}]": "profiles.personal.newcomer[0].factor: "
    "nan: must be a number, without quotes",
    "[profiles.personal]\nnewcomer = [{days = 3, factor = 1}, {days = 3, factor = 2}]": (
        "profiles.personal.newcomer[1]: days = 3: must be more than the 3 before"
    ),
    "[profiles.personal]\ntrusted = [{days = 31, factor = 2}]": "profiles.personal.trusted[0].days: 31: "
    "must be a number of days from 0 to 30",
    "[profiles.personal]\nslowed = 1.5": "profiles.personal.slowed: 1.5: must be a number above 0, up to 1",
    '[profiles.personal]\nover_limit = "defr"': 'profiles.personal.over_limit: "defr": unknown action; '
    'did you mean "defer"? (allowed: pass, mark, defer, hold, reject, discard, reroute)',
    '[profiles.personal]\nover_limit = "mark spam"': 'profiles.personal.over_limit: "mark spam": '
    'needs a header line, for example "mark X-Over-Limit: yes"',
    '[profiles.personal]\nover_limit = "reroute"': 'profiles.personal.over_limit: "reroute": '
    'needs a Postfix TRANSPORT:NEXTHOP, for example "reroute slow:"',
    '[profiles.personal]\npause = [{for = "1h"}]': "profiles.personal.pause[0]: "
    'must have either "refused" or "outcome"',
    '[profiles.personal]\npause = [{refused = "1/h", outcome = "other 1/h"}]': "profiles.personal.pause[0]: "
    'must have either "refused" or "outcome"',
    '[profiles.personal]\npause = [{outcome = "60/d"}]': 'profiles.personal.pause[0].outcome: "60/d": '
    'not a limit on outcomes (write "unknown-user 25/h" or "complaints 0.1%/d min 3")',
    '[profiles.personal]\npause = [{outcome = "refused 60/d"}]': "profiles.personal.pause[0].outcome: "
    f'"refused 60/d": unknown outcome "refused" ({OUTCOME_NAMES})',
    # outcomes
    '[profiles.personal]\noutcomes = ["bounces 25/h"]': 'profiles.personal.outcomes[0]: "bounces 25/h": '
    f'unknown outcome "bounces" ({OUTCOME_NAMES})',
    '[profiles.personal]\noutcomes = "unknown-user 25"': 'profiles.personal.outcomes: "unknown-user 25": '
    'not a limit on outcomes (write "unknown-user 25/h" or "complaints 0.1%/d min 3")',
    '[profiles.personal]\noutcomes = "bounced 0/h"': 'profiles.personal.outcomes: "bounced 0/h": '
    "0 would stop everybody at once; the least is 1",
    '[profiles.personal]\noutcomes = "bounced 9/h min 3"': 'profiles.personal.outcomes: "bounced 9/h min 3": '
    '"min" belongs to a share ("bounced 5%/d min 3")',
    '[profiles.personal]\noutcomes = "bounced 9%/h"': 'profiles.personal.outcomes: "bounced 9%/h": '
    'a share needs the number from which it holds, for example "min 3"',
    '[profiles.personal]\noutcomes = "bounced 101%/h min 3"': "profiles.personal.outcomes: "
    '"bounced 101%/h min 3": a share is above 0% and at most 100%',
    '[profiles.personal]\noutcomes = "bounced 9/33d"': 'profiles.personal.outcomes: "bounced 9/33d": '
    "the window must be between 1 second and 32 days",
    '[profiles.personal]\noutcomes = [{mode = "off"}]': "profiles.personal.outcomes[0]: "
    '"limit" is missing (limit on outcomes, such as `"unknown-user 25/h"`)',
    "[profiles.personal]\nparents.outcomes = 5": "profiles.personal.parents.outcomes: 5: "
    "must be a string, in quotes",
    '[profiles.personal]\noutcome = "bounced 5/h"': "profiles.personal.outcome: unknown key; "
    'did you mean "outcomes"?',
    '[profiles.personal]\npause = ["500/h"]': 'profiles.personal.pause[0]: "500/h": must be a table',
    # content
    "content = 5": "content: 5: must be a table",
    'content.fingerprint = "on"': 'content.fingerprint: unknown key; did you mean "fingerprints"?',
    'content.score_header = "X Score"': 'content.score_header: "X Score": '
    "must be the name of a header field, such as `X-Spamd-Result`, or empty",
    'content.score_header = "X-Score:"': 'content.score_header: "X-Score:": '
    "must be the name of a header field, such as `X-Spamd-Result`, or empty",
    "content.score_limit = 0": "content.score_limit: 0: must be a number above 0.1, up to 1000",
    # detection
    "detection = 5": "detection: 5: must be a table",
    'detection.mod = "off"': 'detection.mod: unknown key; did you mean "mode"?',
    'detection.mode = "on"': 'detection.mode: "on": must be one of off, shadow, enforce',
    "detection.false_pauses = 0": "detection.false_pauses: 0: must be a number above 0.0000001, up to 1000",
    'detection.false_pauses = "0.1"': 'detection.false_pauses: "0.1": must be a number, without quotes',
    "detection.missed = 1": "detection.missed: 1: must be a number above 0.0000001, up to 0.5",
    "detection.compromised = 1e-320": "detection.compromised: 1e-320: "
    "must be a number above 0.0000001, up to 1000",
    "detection.compromised = 10000": "detection.compromised: 10000: "
    "must be a number above 0.0000001, up to 1000",
    "detection.canaries = 0": "detection.canaries: 0: must be a whole number from 1 to 10000000",
    "detection.canaries = 2.5": "detection.canaries: 2.5: must be a whole number from 1 to 10000000",
    "detection.lasts = 5": 'detection.lasts: 5: a duration has a unit: write "5s" or, say, "2h" '
    "(s, m, h, d, w)",
    'detection.silent = ["novelty", "campain"]': 'detection.silent[1]: "campain": no such signal; '
    'did you mean "campaign"?',
    'detection.traps = ["nobody"]': 'detection.traps: ["nobody"]: '
    "must be a list of mail addresses, as USER@DOMAIN",
    'detection.geo = "City.mmdb"': 'detection.geo: "City.mmdb": must be an absolute path, or empty',
    'detection.geo = "/nowhere/City.mmdb"': 'detection.geo: "/nowhere/City.mmdb": '
    "cannot be read: No such file or directory",
    'detection.geo = "/dev/zero"': 'detection.geo: "/dev/zero": is no file of at most 1 GiB',
    "detection.geo = 5": "detection.geo: 5: must be a string, in quotes",
    "detection.silent = 5": "detection.silent: 5: must be a string, in quotes",
    "[profiles.personal]\nusual = 5": "profiles.personal.usual: 5: must be a table",
    "[profiles.personal]\nusual = {novl = 5}": "profiles.personal.usual.novl: unknown key; "
    'did you mean "novel"?',
    '[profiles.personal]\nusual = {novel = "4"}': 'profiles.personal.usual.novel: "4": '
    "must be a number, without quotes",
    "[profiles.personal.usual]\nrecipients = -1": "profiles.personal.usual.recipients: -1: "
    "must be a whole number from 1 to 10000000",
    "[profiles.personal.usual]\nenvelopes = true": "profiles.personal.usual.envelopes: true: "
    "must be a number, without quotes",
    # senders
    "[senders.alice]\nprofile = 'relay'": "senders.alice: 'alice' is not a sender: write KIND:NAME with "
    "one of the kinds login, uid, script, ip, customer, for example login:alice@example.com or ip:192.0.2.7",
    "[senders.'ip:192.0.2.0/24']\nprofile = 'relay'": 'senders."ip:192.0.2.0/24": '
    "'ip:192.0.2.0/24' is not one "
    "address: write ip:192.0.2.7 or, for IPv6, ip:2001:db8:1:2::/64",
    "[senders.'uid:www']\nprofile = 'relay'": 'senders."uid:www": '
    "'uid:www': a uid is a number, for example uid:1033",
    "[senders.'uid:33']": 'senders."uid:33": says nothing: give a profile, recipients, messages, '
    "bytes or outcomes",
    "[senders.'uid:33']\noutcomes = []": 'senders."uid:33".outcomes: []: leaves nothing in place of the '
    'profile\'s limit; write a high one to lift it, for example "unknown-user 100000/h"',
    "[senders.'uid:33']\noutcomes = [{limit = 'content 5/h', mode = 'off'}]": 'senders."uid:33".outcomes: '
    '[{ limit = "content 5/h", mode = "off" }]: leaves nothing in place of the profile\'s limit; '
    'write a high one to lift it, for example "content 100000/h"',
    "[senders.'uid:33']\nprofile = 'rely'": 'senders."uid:33".profile: "rely": no such profile; '
    'did you mean "relay"?',
    "[senders.'uid:33']\nrecipients = []": 'senders."uid:33".recipients: []: leaves nothing in place of the '
    'profile\'s recipients; write a high limit to lift it, for example "1000000/h"',
    "[senders.'uid:33']\nprofile = 'relay'\nuntil = 'soon'": 'senders."uid:33".until: "soon": '
    "must be a date such as 2027-01-31 or 2027-01-31T18:00:00Z",
    "[senders.'login:A@b']\nprofile = 'relay'\n[senders.'login:a@B']\nprofile = 'relay'": (
        'senders."login:a@B": stands here twice: it is login:a@b'
    ),
    # texts
    "[texts.en]\npaused = 'für'": 'texts.en.paused: "für": '
    "must be one line of 1 to 200 printable ASCII characters",
    '[texts.en]\npaused = "a\\nb"': 'texts.en.paused: "a\\nb": '
    "must be one line of 1 to 200 printable ASCII characters",
    "[texts.english]\npaused = 'x'": 'texts.english: "english": '
    'must be a language tag such as "en" or "pt-br"',
    # directory
    "[directory.login]": 'directory.login: unknown key; did you mean "logins"?',
    "[directory.logins.a]\ncustomer = true": "directory.logins.a.customer: true: must be a string, in quotes",
    "[directory.logins.a]\ncontact = 'b'": 'directory.logins.a.contact: "b": '
    'must be a mail address such as "someone@example.com"',
    "[directory.networks.'192.0.2.1/24']": 'directory.networks."192.0.2.1/24": '
    "not a network such as 192.0.2.0/24 (192.0.2.1/24 has host bits set)",
    "[directory.networks.'2001:db8::/80']": 'directory.networks."2001:db8::/80": '
    "IPv6 clients are told apart by their /64: write a prefix of at most 64",
    "[directory.sql]\nurl = 'oracle://me:s:ec@r/et@x/db'\nquery = ':login'": "directory.sql.url: "
    '"oracle://me:***@x/db": must be sqlite:///PATH, postgresql://USER:PASSWORD@HOST/DATABASE '
    "or mariadb://USER:PASSWORD@HOST/DATABASE",
    "[directory.sql]\nurl = 'sqlite:///x'": 'directory.sql: "query" is missing (SQL with `:login`)',
    "[directory.sql]\nurl = 'sqlite:///x'\nquery = 'a::login'": 'directory.sql.query: "a::login": '
    "must contain :login (or :local, :key), in whose place the login is put",
    "[directory.command]\nargv = 'whois'": 'directory.command.argv: "whois": '
    'must be a list of strings, for example ["/usr/local/bin/whois-login"]',
    "[directory.command]\nargv = ['whois']": 'directory.command.argv: "whois": '
    "the command needs an absolute path",
    # logs
    "logs = 5": "logs: 5: must be a table",
    'logs.mail = "/var/log/mail.log"': 'logs.mail: "/var/log/mail.log": must be a table',
    "[logs.Mail]\nfile = '/x'": "logs.Mail: "
    "a name is up to 32 small letters, digits, '-' and '_', and begins with a letter",
    "[logs.mail]": 'logs.mail: must have either "file" or "journal"',
    "[logs.mail]\nfile = '/x'\njournal = 'postfix'": 'logs.mail: must have either "file" or "journal"',
    "[logs.mail]\nfile = 'mail.log'": 'logs.mail.file: "mail.log": must be an absolute path',
    "[logs.mail]\njournal = []": "logs.mail.journal: []: must name at least 1",
    "[logs.mail]\njournal = ['']": 'logs.mail.journal: "": must have 1 to 200 characters',
    "[logs.mail]\nfile = '/x'\ncounted = 'everything'": 'logs.mail.counted: "everything": '
    'must be "local", "all" or "none"',
    "[logs.mail]\nfile = '/x'\ntime_zone = 'Berlin'": "logs.mail.time_zone: "
    '"Berlin" is no time zone such as "Europe/Berlin"',
    "[logs.mail]\nfile = '/x'\nfrom_beginning = 'yes'": 'logs.mail.from_beginning: "yes": '
    "must be true or false, without quotes",
    "[logs.mail]\nfile = '/x'\nsilence = 5": "logs.mail.silence: 5: a duration has a unit: "
    'write "5s" or, say, "2h" (s, m, h, d, w)',
    "[logs.a]\nfile = '/x'\n[logs.b]\nfile = '/x'": 'logs.b: "/x": is read as logs.a already, '
    "and would count twice",
    # reports
    "reports = 1": "reports: 1: must be a table",
    "[reports]\nlisten = '24'": 'reports.listen: "24": write HOST:PORT, [IPV6]:PORT or unix:/PATH',
    "[reports]\nrecipients = 'bounces'": 'reports.recipients: "bounces": '
    'must be a mail address such as "bounces@example.com"',
    "[reports]\nheader = 1": "reports.header: 1: must be true or false, without quotes",
    # queue
    "[queue]\nmta = 'sendmail'": 'queue.mta: "sendmail": must be one of off, postfix, exim',
    "[queue]\nconfig_dirs = 'etc'": 'queue.config_dirs: "etc": must be an absolute path',
    "[queue]\nconfig_dirs = []": "queue.config_dirs: must name at least one folder",
    "[queue]\nhelper = 5": "queue.helper: 5: must be a string, in quotes",
    "[queue]\nhelper_command = ['x']": 'queue.helper_command: "x": the command needs an absolute path',
    "[queue]\nrelease_per_minute = 0": "queue.release_per_minute: 0: must be a whole number from 1 to 60000",
    "[queue]\nheld_messages = 1.5": "queue.held_messages: 1.5: must be a whole number from 1 to 1000000000",
    "[queue]\nheld_bytes = '5'": 'queue.held_bytes: "5": must be a size such as "250MB" or "1GB"',
    "[queue]\ncompromised = 'eat'": 'queue.compromised: "eat": must be one of hold, drop, bounce',
    # replies
    "replies = 1": "replies: must be a list of tables, each written as [[replies]]",
    "[replies]\nname = 'x'": "replies: must be a list of tables, each written as [[replies]]",
    "replies = ['x']": 'replies[0]: "x": must be a table',
    "[[replies]]\nphrases = 'x'\nname = 'x'": 'replies[0]: "class" is missing (class of reply)',
    "[[replies]]\nphrases = 'x'\nclass = 'policy'": 'replies[0]: "name" is missing (text)',
    "[[replies]]\nphrases = 'x'\nname = ' '\nclass = 'policy'": 'replies[0].name: " ": '
    "must have 1 to 200 characters",
    "[[replies]]\nphrases = 'x'\nname = 'x'\nclass = 'spam'": 'replies[0].class: "spam": '
    f"must be one of {', '.join(ReplyClass)}",
    "[[replies]]\nname = 'x'\nclass = 'policy'": 'replies[0]: must have "phrases" or "codes"',
    "[[replies]]\nname = 'x'\nclass = 'policy'\nphrases = []": 'replies[0]: must have "phrases" or "codes"',
    "[[replies]]\nname = 'x'\nclass = 'policy'\nphrases = '!*'": 'replies[0].phrases: "!*": '
    "there is no word in it",
    "[[replies]]\nname = 'x'\nclass = 'policy'\ncodes = '6xx'": 'replies[0].codes: "6xx": '
    'a code begins like "550", "5.7" or "x.7.1"',
    "[[replies]]\nname = 'x'\nclass = 'policy'\ncodes = '5'\nproviders = 5": "replies[0].providers: 5: "
    "must be a string, in quotes",
    "[[replies]]\nname = 'x'\nclass = 'policy'\ncodes = '5'\npermanent = 'no'": "replies[0].permanent: "
    '"no": must be true or false, without quotes',
}


@pytest.mark.parametrize("text", GOLDEN)
def test_an_error_tells_where_what_and_what_is_allowed(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, at=NOW)
    assert str(caught.value) == GOLDEN[text]


def test_all_errors_are_told_at_once() -> None:
    text = 'mode = "x"\nlisten.silence = 1\n[profiles.personal]\nslowed = 2\nrecipients = ["1/x", "2/y"]'
    with pytest.raises(ConfigError) as caught:
        parse(text, at=NOW)
    assert {problem.path for problem in caught.value.problems} == {
        "mode",
        "listen.silence",
        "profiles.personal.slowed",
        "profiles.personal.recipients[0]",
        "profiles.personal.recipients[1]",
    }


def test_an_inherited_error_is_told_once() -> None:
    text = '[profiles.personal]\nslowed = 2\nfoo = 1\n[profiles.school]\nlike = "personal"'
    with pytest.raises(ConfigError) as caught:
        parse(text, at=NOW)
    assert [p.path for p in caught.value.problems] == ["profiles.personal.foo", "profiles.personal.slowed"]


WARNINGS = {
    '[profiles.personal]\nrecipients = ["300/h", "200/d"]': "profiles.personal.recipients: "
    '"200/d" allows no more than "300/h" does, which is therefore never reached',
    '[profiles.personal]\nrecipients = ["300/h", "200/60m"]': "profiles.personal.recipients: "
    '"300/h" and "200/h" limit the same window: the smaller one holds',
    "[profiles.personal]\nnewcomer = [{days = 3, factor = 0.5}, {days = 9, factor = 1}]": (
        "profiles.personal.newcomer: before day 3 the full limits hold; begin with days = 0"
    ),
    "[profiles.personal]\nnewcomer = [{days = 0, factor = 0.5}]": "profiles.personal.newcomer: "
    "the last step stays below 1: these senders never reach their limits",
    "[profiles.personal]\npaused = 'pass'": "profiles.personal.paused: "
    '"pass": a paused sender would go on sending',
    "on_error = 'discard'": 'on_error: "discard": an error of Penstock\'s own would lose mail',
    "listen.policy = '0.0.0.0:10040'": 'listen.policy: "0.0.0.0:10040": strangers may reach it, '
    "and it asks nobody for a password",
    "reports.listen = '0.0.0.0:24'": 'reports.listen: "0.0.0.0:24": strangers may reach it, '
    "and it asks nobody for a password",
    "listen.policy = []": "listen.policy: no listener: Postfix cannot ask",
    "queue.mta = 'exim'\n[listen]\npolicy = []\nmilter = '127.0.0.1:1'": "listen.policy: no listener: "
    "Postfix cannot ask about mail of SMTP clients",
    "queue.mta = 'exim'\nlisten.milter = '0.0.0.0:10041'": 'listen.milter: "0.0.0.0:10041": '
    "strangers may reach it, and it asks nobody for a password",
    "listen.milter = '127.0.0.1:1'": 'queue.mta: "off": '
    'what "script" holds over a limit waits until a person releases it',
    "queue.mta = 'exim'\nlisten.milter = '127.0.0.1:1'\n[profiles.script]\npaused = 'reroute slow:'": (
        "profiles.script.paused: a milter cannot reroute: such mail is held"
    ),
    "[senders.'uid:33']\nprofile = 'relay'\nuntil = 2020-01-01": 'senders."uid:33".until: '
    "the exception has ended: it no longer holds and may be removed",
    "[directory.command]\nargv = ['/nowhere/x']": 'directory.command.argv: "/nowhere/x": '
    "is not there or cannot be run",
}


@pytest.mark.parametrize("text", WARNINGS)
def test_what_is_hardly_meant_is_a_warning(text: str) -> None:
    assert parse(text, at=NOW).warnings == (WARNINGS[text],)


@pytest.mark.parametrize(
    "text",
    [
        '[profiles.personal]\nrecipients = ["250/h", {limit = "100/h", mode = "shadow"}]',
        '[profiles.personal]\nrecipients = ["0/s", "0/h"]',
        "",
    ],
)
def test_no_warning_without_need(text: str) -> None:
    assert parse(text, at=NOW).warnings == ()


def test_a_syntax_error_has_line_and_column(tmp_path) -> None:
    file = tmp_path / "p.toml"
    file.write_text('mode = "off"\nlanguage = en\n')
    with pytest.raises(ConfigError, match=r"p\.toml:2:12: not TOML: Invalid value$"):
        load(file)
    file.write_text('mode = "off"\nlanguage =')
    with pytest.raises(ConfigError, match=r"p\.toml:2:11: not TOML: Invalid value, where the file ends$"):
        load(file)


@pytest.mark.parametrize(
    "text", ["x = " + "9" * 5000, "state = 0x" + "f" * 9999, "x = " + "[" * 9999, "x = " + "{a=" * 9999]
)
def test_hostile_numbers_and_nesting_are_errors_too(text: str) -> None:
    with pytest.raises(ConfigError):
        parse(text)


def test_files_that_cannot_be_read(tmp_path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file or directory"):
        load(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load(tmp_path)
    file = tmp_path / "p.toml"
    file.write_bytes(b'mode = "off"\n# gr\xfc\xdf\n')
    with pytest.raises(ConfigError, match=r"p\.toml:2:5: not UTF-8 \(byte 0xfc\)$"):
        load(file)
    file.write_bytes(b'\xef\xbb\xbfmode = "off"\n')
    assert load(file).mode == "off"


@pytest.mark.parametrize("url", ["postgresql://u:pw@h/db", "mariadb://u@h/db?password=pw"])
def test_a_password_that_everybody_may_read_is_a_warning(tmp_path, url: str) -> None:
    file = tmp_path / "p.toml"
    file.write_text(f"[directory.sql]\nurl = '{url}'\nquery = 'SELECT 1 WHERE :login'")
    file.chmod(0o644)
    [warning] = load(file).warnings
    assert warning == f"{file}: holds a password, and every user of this machine may read it (chmod o-r)"
    file.chmod(0o640)
    assert load(file).warnings == ()
    file.chmod(stat.S_IRUSR | stat.S_IWOTH)
    assert load(file).warnings == (f"{file}: every user of this machine may change it (chmod o-w)",)
    assert "pw" not in repr(load(file))
