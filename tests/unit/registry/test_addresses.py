"""Which addresses and URLs a webhook may have."""

import ipaddress

import pytest

from runstone_registry.addresses import MAX_URL, check, is_public, parse

PRIVATE = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.127.255.254",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",  # compatible
    "::10.0.0.1",
    "::8.8.8.8",
    "::ffff:127.0.0.1",  # mapped
    "::ffff:10.1.2.3",
    "::ffff:169.254.169.254",
    "::ffff:0:127.0.0.1",  # translated
    "64:ff9b::7f00:1",  # NAT64
    "64:ff9b::10.0.0.1",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",  # Teredo
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:10::1",
    "2001:db8::1",
    "2002:7f00:1::1",  # 6to4
    "2002:a00:1::1",
    "2002:c0a8:101::",
    "2002:808:808::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",  # metadata
    "fdff::1",
    "fe80::1",
    "fe80::1%1",
    "febf::1",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    "2606:4700::1%2",
]

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "100.63.255.255",
    "100.128.0.1",
    "172.15.255.255",
    "172.32.0.1",
    "198.20.0.1",
    "223.255.255.254",
    "2606:4700:4700::1111",
    "2a00:1450:4001::1",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
]


@pytest.mark.parametrize("text", PRIVATE)
def test_addresses_that_are_not_public(text: str) -> None:
    assert not is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_addresses_that_are(text: str) -> None:
    assert is_public(ipaddress.ip_address(text))


BAD = [
    "",
    " ",
    "example.org",
    "//example.org/",
    "ftp://example.org/",
    "file:///etc/passwd",
    "gopher://example.org/",
    "javascript:alert(1)",
    "https:",
    "https://",
    "https:///path",
    "https:example.org",
    "https://user@example.org/",
    "https://user:password@example.org/",
    "https://@example.org/",
    "https://example.org@127.0.0.1/",
    "https://example.org#@127.0.0.1/",
    "https://example.org/#",
    "https://example.org\\@127.0.0.1/",
    "https://example.org /",
    "https://exa\tmple.org/",
    "https://example.org/\n",
    "https://example.org/\r\nHost: x",
    "https://example.org/\x00",
    "https://exämple.org/",
    "https://127。0。0。1/",
    "https://①②⑦.0.0.1/",
    "https://example.org:0/",
    "https://example.org:65536/",
    "https://example.org:-1/",
    "https://example.org:x/",
    "https://example.org:/",
    "https://[::1/",
    "https://[::1]x/",
    "https://[example.org]/",
    "https://[fe80::1%25eth0]/",
    "https://[v1.x]/",
    "https://::1/",
    "https://a..b/",
    "https://.example.org/",
    "https://-example.org/",
    "https://exa%6dple.org/",
    "https://0x7f.1/",
    "https://0x7f000001/",
    "https://0X7F.0.0.1/",
    "https://0177.0.0.1/",
    "https://017700000001/",
    "https://2130706433/",
    "https://127.1/",
    "https://127.0.1/",
    "https://127.0.0.1./",
    "https://0/",
    "https://0x/",
    "https://1.2.3.4.5/",
    "https://256.1.1.1/",
    "https://01.1.1.1/",
    "https://" + "a" * 64 + ".org/",
    "https://" + "a." * 127 + "org/",
    "https://example.org/" + "x" * MAX_URL,
]

INSIDE = [
    "http://example.org/",
    "HTTP://example.org/",
    "https://localhost/",
    "https://LOCALHOST:8443/",
    "https://localhost./",
    "https://x.localhost/",
    "https://127.0.0.1/",
    "https://127.0.0.1:8080/hook",
    "https://10.0.0.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://[::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[0:0:0:0:0:ffff:a9fe:a9fe]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[fd00::1]/",
]

GOOD = [
    "https://example.org",
    "https://example.org/",
    "HTTPS://Example.org/Hook?x=1&y=%20",
    "https://hooks.example.org:8443/a/b?token=s3cret",
    "https://xn--exmple-cua.org/",
    "https://a_b.example.org/",
    "https://1.1.1.1/",
    "https://[2606:4700:4700::1111]:444/x",
    "https://example.org./",
    "https://1e100.net/",
]


@pytest.mark.parametrize("url", BAD)
def test_urls_that_nobody_may_have(url: str) -> None:
    assert check(url, allow_private=False)
    assert check(url, allow_private=True)


@pytest.mark.parametrize("url", INSIDE)
def test_urls_that_a_setting_allows(url: str) -> None:
    assert check(url, allow_private=False)
    assert check(url, allow_private=True) == ""


@pytest.mark.parametrize("url", GOOD)
def test_urls_that_anybody_may_have(url: str) -> None:
    assert check(url, allow_private=False) == ""


@pytest.mark.parametrize(
    ("url", "host", "port", "path", "authority"),
    [
        ("https://Example.org", "example.org", 443, "/", "example.org"),
        ("https://example.org?x=1", "example.org", 443, "/?x=1", "example.org"),
        ("https://example.org/a?", "example.org", 443, "/a?", "example.org"),
        ("http://example.org:8080/a", "example.org", 8080, "/a", "example.org:8080"),
        ("https://[2606:4700:0::1]:80/", "2606:4700::1", 80, "/", "[2606:4700::1]:80"),
    ],
)
def test_where_a_url_leads(url: str, host: str, port: int, path: str, authority: str) -> None:
    target = parse(url)
    assert (target.host, target.port, target.path, target.authority) == (
        host,
        port,
        path,
        authority,
    )
    assert target.secure == url.startswith("https")
