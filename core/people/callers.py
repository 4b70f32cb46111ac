"""Which addresses count as one caller, where attempts are counted."""

from ipaddress import IPv6Address, ip_address


def caller_of(address: str) -> str:
    """The address itself; of IPv6 the first half, since a caller has all of the second."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if not isinstance(found, IPv6Address):
        return address
    # A socket that listens on both families shows IPv4 callers so, and they share no half.
    return str(found.ipv4_mapped) if found.ipv4_mapped else f"{int(found) >> 64:x}::/64"
