"""Which hosts lie inside: where a submitter must not make the workers call."""

import socket

import pytest

from probe.asking.addresses import is_internal

INTERNAL = [
    "127.0.0.1",
    "127.1",
    "0",
    "0.0.0.0",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "[::1]",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:a9fe:a9fe",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "2001:0:7f00:1::1",
    "fe80::1",
    "fe80::1%1",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "localhost",
    "",
    "no-such-host.invalid",
    "a..b",
    "x" * 300,
    "ex ample",
    "①②⑦.⓪.⓪.①",
]
PUBLIC = ["93.184.215.14", "8.8.8.8", "2606:4700:4700::1111", "[2606:4700:4700::1111]"]
PUBLIC += ["::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("host", INTERNAL)
def test_what_lies_inside(host):
    """Loopback, private, link-local, metadata, multicast, reserved, in every spelling; and what can't be resolved."""
    assert is_internal(host)


@pytest.mark.parametrize("host", PUBLIC)
def test_what_lies_outside(host):
    """Public addresses of either kind."""
    assert not is_internal(host)


def named(*addresses):
    """A resolver that gives these addresses for any name."""

    def resolve(host, port, type):
        return [(socket.AF_INET6 if ":" in a else socket.AF_INET, type, 6, "", (a, 0)) for a in addresses]

    return resolve


def test_a_name_is_what_it_leads_to():
    """Also where only one of several addresses lies inside, or where there is none."""
    assert not is_internal("a.example", named("8.8.8.8", "2606:4700:4700::1111"))
    assert is_internal("a.example", named("10.0.0.1"))
    assert is_internal("a.example", named("8.8.8.8", "127.0.0.1"))
    assert is_internal("a.example", named("8.8.8.8", "::1"))
    assert is_internal("a.example", named())
