"""Every number that the corpora are drawn from, with its source; † marks what is believed without one.

A pair is a range: log-uniform where its name says nothing else, uniform for shares.
"""

from __future__ import annotations

from dataclasses import dataclass

Range = tuple[float, float]


@dataclass(frozen=True)
class Params:
    """Times in days, hours or seconds as named; shares from 0 to 1."""

    # --- Size. Not facts: what replays in a minute or two.
    accounts: int = 1200  # ordinary accounts; attacked and hard cases come on top
    days: int = 112  # 28 warm-up, 60 silent (dormant), and some to attack in
    warm_up: int = 28  # issue 4 part 7
    business_share: float = 0.08  # of the ordinary accounts †
    script_share: float = 0.25  # of business accounts that mail from a web server's uid †
    cases: int = 10  # of each family
    snowshoe_campaigns: int = 3
    most_attack: int = 1500  # recipients of one attack: enough for every bar, and keeps logs small
    bulk_budget: int = 90_000  # recipients of all established newsletters together

    # --- Recipients and domains
    companies: int = 5000  # domains of companies in this world; popularity falls as 1/rank †
    company_retired: float = 0.01  # domains that no longer exist but stay in address books †
    personal_freemail: Range = (0.15, 0.6)  # share of an ordinary account's contacts †
    business_freemail: Range = (0.3, 0.8)  # of a shop's customers †
    internal: Range = (0.0, 0.4)  # contacts in the account's own domain †
    extra_new: Range = (0.01, 0.35)  # further first contacts: the sets are internal mail (data README) †
    kept_dead: float = 0.25  # of dead contacts written to again after they bounced †
    typed_dead: Range = (0.003, 0.02)  # of first contacts: FIELD §7, legit bulk 0.3–2.2 %
    dead_known: float = 0.2  # of dead addresses from the pool that old lists share †
    dead_pool: int = 6_000  # †
    no_such_domain: float = 0.1  # of dead addresses †
    inactive: float = 0.1  # of dead addresses: disabled rather than unknown †

    # --- Remote servers
    greylisting: float = 0.07  # of company domains †
    catch_all: float = 0.05  # of company domains: take any local part †
    latency_median: Range = (0.5, 6.0)  # seconds from acceptance to the remote's answer, by domain †
    latency_most: float = 20.0  # brief: 0.3–20 s
    trouble: float = 0.003  # deliveries that fail for the moment (time-out, 4xx) †
    mailbox_full: float = 0.003  # of addresses †
    honest_content: float = 0.001  # refused as spam though honest †
    throttled_after: int = 2500  # recipients an hour at one freemail provider before it answers 421 †
    throttled: float = 0.12  # then, of further ones †
    outage_hours: Range = (0.7, 5.0)  # Gmail, 15 December 2020: 550 5.1.1 to everyone for 2.3 h
    outage_share: Range = (0.3, 0.95)  # of deliveries during an outage †

    # --- Clients
    leases: Range = (0.5, 40.0)  # days that a home address stays †
    mobile: Range = (0.0, 0.5)  # of an account's mail from mobile networks †
    office: float = 0.45  # accounts with a fixed office address †
    moves: float = 0.006  # account-days on which another place begins (train, hotel, relatives) †
    webmail: float = 0.25  # accounts that use the hoster's web mail: everybody's client is then the same †
    behind_one: tuple[tuple[str, int], ...] = (("mobile", 512), ("vpn", 64))  # clients share addresses †
    alias: float = 0.15  # accounts with a second MAIL FROM †
    foreign_alias: float = 0.04  # accounts whose second one is at another provider †
    hostname: float = 0.6  # clients with a reverse name †

    # --- Attack families (FIELD §7)
    flood_rate: Range = (300, 25_000)  # recipients an hour
    per_message: Range = (1, 50)
    invalid: Range = (0.10, 0.50)  # †
    freemail: Range = (0.40, 0.95)  # †
    clients: Range = (1, 350)
    countries: Range = (1, 41)
    sticky: tuple[float, ...] = (0.0, 0.0, 0.8, 0.97)  # chance that a client sends the next one too †
    victim_business: float = 0.1  # of attacked accounts †
    own_client: float = 0.07  # attacks from the account's own machine (malware) †
    by_webmail: float = 0.08  # attacks through the hoster's web mail †
    own_contacts: float = 0.12  # attacks that mix the account's address book into the list †
    flood_hours: Range = (0.3, 8)  # †
    slow_rate: Range = (3, 60)  # recipients an hour
    slow_day: Range = (20, 500)
    slow_days: Range = (3, 30)
    slow_invalid: Range = (0.03, 0.20)  # †
    script_rate: Range = (500, 50_000)
    script_day: float = 3500  # Windigo's average
    script_steady: float = 0.3  # of hijacked scripts: by the day, not by the hour †
    snowshoe_accounts: Range = (10, 60)  # FIELD: 10–300, here bounded by the size of a corpus
    snowshoe_day: Range = (5, 40)
    snowshoe_days: Range = (2, 14)  # †
    dormant: Range = (60, 75)  # days of silence
    dormant_slow: float = 0.3  # then a trickle rather than a flood †
    professional_factor: Range = (1, 5)
    professional_invalid: Range = (0.08, 0.40)  # an uncleaned list †
    lateral: Range = (20, 500)  # recipients within an hour
    validated_invalid: Range = (0.0, 0.01)
    ramp: float = 1.2  # a day
    ramp_days: Range = (14, 24)  # †
    probe: float = 0.4  # attacks with a probe of one recipient up to two days before †
    forged_from: float = 0.45  # attacks whose MAIL FROM is not the account's †
    rotating_from: float = 0.4  # of these: another one for each message †
    sorted_list: float = 0.4  # lists in alphabetical order, spammers' and newsletters' alike †
    one_provider: float = 0.15  # lists of one provider only †
    spam_refused: Range = (0.0, 0.3)  # of spam recipients, by content or reputation, once it is known †
    spam_known_after: int = 60  # recipients of a campaign †
    office_hours: float = 0.5  # attacks that begin in the day of the account †

    # --- Honest hard cases (FIELD §7)
    list_size: Range = (200, 80_000)
    list_rate: Range = (1, 10)  # recipients a second
    list_dead: Range = (0.003, 0.022)  # FIELD: industries
    list_batch: float = 0.4  # newsletters in messages of many recipients †
    list_single_most: int = 6_000  # larger lists go in messages of many recipients: keeps logs small
    first_list: Range = (200, 5000)  # †
    first_list_dead: Range = (0.005, 0.04)  # FIELD: stale one-off notice 3.6 %
    fan_out: Range = (15, 300)  # members of a mailing list †
    posts: Range = (0.2, 5)  # a day †
    invoices: Range = (30, 1200)  # †
    ramp_customer: Range = (5, 120)  # recipients a day at the end of the ramp †
    notice: Range = (80, 2000)  # address book †
    notice_dead: float = 0.05
    backscatter: Range = (50, 4000)  # notices †
    travel_networks: Range = (4, 14)  # networks a day †
    reactivated: Range = (1, 8)  # FIELD: p95 3–8, most 73
    storm_recipients: Range = (5, 80)  # †
    orders: Range = (2, 60)  # a day, each to somebody new †
    order_dead: Range = (0.003, 0.022)  # typing errors at the till; FIELD: industries
    form_visitors: Range = (30, 250)  # whom an advert brings †
    form_days: Range = (0.3, 4.0)  # in so many days †
    form_typed_dead: Range = (0.06, 0.18)  # of their addresses, typed by themselves †
    rotations: int = 8  # places where the log repeats lines
    repeated: Range = (50, 3000)  # lines
