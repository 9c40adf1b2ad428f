"""Senders from the policy file; longest prefix, held against the ipaddress module."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.names import ip_key
from penstock.core.policy import Entry
from penstock.directory.static import Static


def numbers(bits: int) -> st.SearchStrategy[int]:
    """Addresses that share long prefixes often enough to matter."""
    few = st.sampled_from([0, 1, 2, 1 << 8, 1 << (bits - 1), (1 << bits) - 1, 0xC0000200])
    return st.builds(lambda a, b: (a ^ b) % (1 << bits), few, few | st.integers(0, (1 << bits) - 1))


ipv4 = numbers(32)
ipv6 = numbers(64).map(lambda n: n << 64)
networks4 = st.builds(lambda n, p: IPv4Network((n, p), strict=False), ipv4, st.integers(0, 32))
networks6 = st.builds(lambda n, p: IPv6Network((n, p), strict=False), ipv6, st.integers(0, 64))


@given(st.lists(networks4 | networks6, max_size=12), st.lists(ipv4 | ipv6, min_size=1))
def test_longest_prefix_wins(networks: list[IPv4Network | IPv6Network], addresses: list[int]) -> None:
    static = Static({}, {str(network): Entry(str(network)) for network in networks})
    for number in addresses:
        key = ip_key(str(IPv4Network(number)[0] if number < 1 << 32 else IPv6Network(number)[0]))
        whole = ip_network(key[3:])
        holding = [n for n in networks if n.version == whole.version and whole.subnet_of(n)]  # type: ignore[arg-type]
        best = max(holding, key=lambda n: n.prefixlen, default=None)
        assert static.get(key) == (None if best is None else Entry(str(best)))


def test_a_sender_of_its_own_wins_over_networks() -> None:
    own, net = Entry("own"), Entry("net")
    static = Static(
        {"ip:192.0.2.7": own, "ip:2001:db8::/64": own}, {"192.0.2.0/24": net, "2001:db8::/32": net}
    )
    assert static.get("ip:192.0.2.7") is own
    assert static.get("ip:192.0.2.8") is net
    assert static.get("ip:2001:db8::/64") is own
    assert static.get("ip:2001:db8:1::/64") is net
    assert static.get("ip:2001:db9::/64") is None


def test_other_kinds_and_odd_addresses() -> None:
    static = Static({"customer:4711": Entry(profile="newsletter")}, {"0.0.0.0/0": Entry("all")})
    assert static.get("customer:4711") == Entry(profile="newsletter")
    assert static.get("customer:4712") is None
    for key in ("ip:unknown", "ip:", "ip:1.2.3", "ip:::g/64", "ip:1.2.3.4\0", "login:1.2.3.4", "ip:\udcff"):
        assert static.get(key) is None


@pytest.mark.parametrize("network", ["192.0.2.1/24", "nonsense", "2001:db8::1", "::ffff:192.0.2.0/120"])
def test_wrong_networks_are_refused(network: str) -> None:
    with pytest.raises(ValueError, match=network):
        Static({}, {network: Entry()})
