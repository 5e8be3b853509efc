"""Passwords as mail servers store them. The hashes were made by Dovecot's doveadm pw and by openssl passwd."""

from __future__ import annotations

import pytest

from chatd.auth.hashes import is_password
from chatd.core.errors import Unavailable

PASSWORD = 'päss"w0rd'
STORED = [
    "{BLF-CRYPT}$2y$05$EzJ/Tf4KEepFRyg6ZpSbP.s4aVUl4GM8jyZsfz0zr8zjkkrQbwmsa",
    "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$7F5dVM1tZiglkT9R5zYn6A$DBC1EhEOfkkUIYyVUG0dfG3U6rZHeW+TsvpXvLV4wqM",
    "{ARGON2I}$argon2i$v=19$m=32768,t=4,p=1$uupEmUySfS34hsCjGQJo8A$EFVoiCQta+zVOUjhrHj9N1+B6RFBFvmLjHBLlUmHYCc",
    "{SHA512-CRYPT}$6$m/XC7TpdqU8aVV9b$M7ddHrsI1oWqsJZYbBK1tfQp3iuOOPclkVoZV62JMvXhvEjGmoZFLVI0oPOBwH762zK77sXjKoaEoRi0"
    "BeeVH.",
    "{SHA256-CRYPT}$5$jJRaqXXfenWiE7es$De9gVP5.2pelPS4evp2k41Xttv14BDheqaE8cocPgr5",
    "{SSHA256}zbUGLCKIhXmzpKlR4kA/gnDztpNK3+KffmoDr76ESSyPD+2I",
    "{SSHA512}WBJBz7viPqd1SH/69Z6Ww1glxvPYVutsBP7wUFKRdw0DyrB7XxTA5Qbzrgx/7GroRxHpXp3cbH0cRV7RucYZWL8SKU4=",
    "{SSHA512.HEX}68cd43425f65becef9caf46bfcb1388628b40ca6de45c4f93d558f777010137dc334582f17038ac01489f46855a33a9e1fb248bd6"
    "36aa8495887361846f7458110465837",
    "{SSHA}G3ch43daj59YqWn6cYDBJfuhhbhlZUl8",
    "{SCRAM-SHA-256}4096,2CHY4ac352/52UFSy6DpWA==,V9O90BTx/klxycmvOn4EZGBy29wKNRK3A2nIbK0S22A=,Z0yPkRvTtM9+4IYfAZ0ZzFQX"
    "jLnJNuYFmTjnqhSQT6Y=",
    "{SCRAM-SHA-1}4096,WHWlmA3hGBkwDibF/3MXdQ==,RUg0RkQOSpZcXwruioZW+GzraGw=,lP8kJAzTkyS4Cgwlow0WcUCHsU0=",
    "{CRYPT}$2y$05$JtM0NIvMXjRMW5Hl9ZsrUuE0seX9HCMosNAKzOJiKPbId71qcyQ9e",
    "$2y$05$EzJ/Tf4KEepFRyg6ZpSbP.s4aVUl4GM8jyZsfz0zr8zjkkrQbwmsa",
    "$6$z7qAjaN0N.SUdgj0$gFPpsatkpMRoAQlkgZCBXPoHdV52pQIE0/plwh89i6S2tmYEk12ISTaSjrbn8f5gp.9bdWZmuHP1Xs2RhxfYi1",
]


@pytest.mark.parametrize("stored", STORED, ids=lambda stored: stored[:14])
def test_right_and_wrong(stored: str) -> None:
    assert is_password(PASSWORD, stored) is True
    assert is_password(PASSWORD, f" {stored}\n") is True
    for wrong in ("päss", PASSWORD + "x", PASSWORD.upper(), "", PASSWORD + "\0", "x" * 1000):
        assert is_password(wrong, stored) is False


REFUSED = [
    "", "x", 'päss"w0rd', '{PLAIN}päss"w0rd', "{CLEARTEXT}x", "{SHA256}E/ZsyAGhar7Zc8AR/ITAaQWReLaUGiGPD6dm6Wy6fAE=",
    "{MD5-CRYPT}$1$xEtpdywg$4yTmYHNr2Qg3SRgBPZCyI1", "$1$xEtpdywg$4yTmYHNr2Qg3SRgBPZCyI1", "ab01FAX.bQRSU",
    "{CRYPT}ab01FAX.bQRSU", "{SSHA512}short", "{SSHA512.HEX}xyz",
    "{SSHA256}E/ZsyAGhar7Zc8AR/ITAaQWReLaUGiGPD6dm6Wy6fAE=",
    "{SCRAM-SHA-256}4096,x", "{SCRAM-SHA-256}9999999999,eA==,eA==,eA==", "{ARGON2ID}$argon2id$v=19$broken",
    "$argon2id$v=19$m=99999999,t=3,p=1$7F5dVM1tZiglkT9R5zYn6A$DBC1EhEOfkkUIYyVUG0dfG3U6rZHeW+TsvpXvLV4wqM",
    "$6$rounds=999999999$z7qAjaN0N.SUdgj0$x", "$2y$31$EzJ/Tf4KEepFRyg6ZpSbP.s4aVUl4GM8jyZsfz0zr8zjkkrQbwmsa",
    "$2y$05$x",
    "{BLF-CRYPT}", "{}", "{", "$", "$9$x$y",
]


@pytest.mark.parametrize("stored", REFUSED, ids=lambda stored: stored[:14] or "empty")
def test_what_is_not_accepted_is_nobodys_wrong_password(stored: str) -> None:
    with pytest.raises(Unavailable) as refused:
        is_password(PASSWORD, stored)
    assert PASSWORD not in str(refused.value)
    assert len(stored) < 20 or stored[-20:] not in str(refused.value)
