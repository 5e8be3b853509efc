"""Too much at once: the daemon reads slower (back-pressure), nothing is lost, nobody waits, memory is bounded."""

from __future__ import annotations

import threading
import time

import pytest

from chatd.core import ns
from tests.daemon import DOMAIN, Daemon
from tests.hostile.bystanders import Bystanders, Health, account, wait_for_log
from tests.raw import Cut, Raw, RawWebSocket, chat

GROWN_MOST = 40 << 20


@pytest.mark.parametrize("count", [2000, pytest.param(20_000, marks=pytest.mark.long)])
def test_stanzas_at_full_speed(daemon: Daemon, health: Health, bystanders: Bystanders, person: str,
                               count: int) -> None:
    """Messages, requests and presence of three sessions, each far faster than 10,000 a second; see `offered`.

    All of it is worked off, in its order, at the rate a session has; those who chat beside it hardly notice.
    """
    other = account(daemon)
    before, memory = len(bystanders.times), health.resident_bytes()
    began = time.monotonic()
    with (Raw(daemon, "c2s_tls", timeout_s=120) as sender, Raw(daemon, "c2s_tls", timeout_s=120) as reader,
          Raw(daemon, "c2s_tls", timeout_s=120) as asker, RawWebSocket(daemon, timeout_s=120) as shower):
        sender.login(person)
        reader.login(other)
        asker.login(account(daemon))
        shower.login(account(daemon))

        def send(raw: Raw, stanzas: list[str], offered: list[float]) -> None:
            data = "".join(stanzas).encode()
            start = time.monotonic()
            if isinstance(raw, RawWebSocket):
                for stanza in stanzas:
                    raw.send(stanza)
            else:
                raw.put(data)
            offered.append(len(stanzas) / (time.monotonic() - start))

        messages = [chat(other, f"flood {n}") for n in range(count)]
        query = f"<query xmlns='{ns.DISCO_INFO}'/>"
        requests = [f"<iq type='get' id='f{n}' to='{DOMAIN}'>{query}</iq>" for n in range(count)]
        shows = [f"<presence><status>{n}</status></presence>" for n in range(count)]
        offered: list[float] = []
        threads = [threading.Thread(target=send, args=(raw, stanzas, offered))
                   for raw, stanzas in ((sender, messages), (asker, requests), (shower, shows))]
        for thread in threads:
            thread.start()
        most = memory
        for n in range(count):
            assert reader.body() == f"flood {n}"
            if n % 200 == 0:
                most = max(most, health.resident_bytes())
            assert asker.until("iq").get("id") == f"f{n}"
        seen = -1
        while seen < count - 1:
            seen = int(shower.until("presence").findtext("{jabber:client}status") or -1)
        for thread in threads:
            thread.join()
    took = time.monotonic() - began
    times = sorted(bystanders.after(before))
    median, slow = times[len(times) // 2], times[-1 - len(times) // 50]
    print(f"\noffered {min(offered):.0f}/s and more, worked off in {took:.1f} s; round trips beside it: "
          f"median {median * 1000:.0f} ms, 98 % {slow * 1000:.0f} ms; memory +{(most - memory) >> 10} KiB")
    assert max(offered) > 10_000
    assert took > (count - 1000) / 250 * 0.8, "nobody was slowed down"
    assert median < 0.25
    assert most - memory < GROWN_MOST


def test_bytes_at_full_speed(daemon: Daemon, health: Health, person: str) -> None:
    """6 MiB in stanzas of 200 KiB: what is over 4 MiB waits in the sender's socket, and all of it arrives."""
    body = "x" * 200_000
    memory = health.resident_bytes()
    with Raw(daemon, "c2s_tls") as sender, Raw(daemon, "c2s_tls") as reader:
        sender.login(person)
        reader.login(account(daemon))
        data = "".join(chat(reader.jid, f"{n} {body}") for n in range(30)).encode()
        thread = threading.Thread(target=sender.put, args=(data,))
        thread.start()
        for n in range(30):
            assert reader.body() == f"{n} {body}"
        thread.join()
    assert health.resident_bytes() - memory < GROWN_MOST


def test_one_who_does_not_read(daemon: Daemon, health: Health, person: str) -> None:
    """Three people send 12 MiB to somebody who reads nothing: it is cut off when 8 MiB wait, the senders notice
    nothing, and when it resumes (XEP-0198) it gets everything once and in order."""
    body = "y" * 250_000
    senders = [Raw(daemon, "c2s_tls").login(account(daemon)) for _ in range(3)]
    deaf = Raw(daemon, "c2s_tls", receive_bytes=4096)
    try:
        deaf.login(person, resource="deaf")
        token = deaf.enable()
        memory = health.resident_bytes()
        for sender in senders:
            for n in range(16):
                sender.message(deaf.jid, f"{n} {body}")
        for sender in senders:
            sender.ping()
        grown = health.resident_bytes() - memory
        with Raw(daemon, "c2s_tls") as again:
            again.authenticate(person)
            again.send(f"<resume xmlns='{ns.SM}' h='0' previd='{token}'/>")
            again.until("{%s}resumed" % ns.SM)
            got: dict[str, list[str]] = {sender.jid: [] for sender in senders}
            for _ in range(48):
                message = again.until("message")
                got[message.get("from") or ""].append(message.findtext("{jabber:client}body") or "")
            assert all(bodies == [f"{n} {body}" for n in range(16)] for bodies in got.values())
            again.handled += deaf.handled
            again.acknowledge()
            assert again.ping().get("type") == "result"
        print(f"\nmemory +{grown >> 10} KiB while it waited")
        # In the worst moment some six copies of the 12 MiB: received, archived twice, queued, on their way out.
        assert grown < 160 << 20
    finally:
        for raw in (*senders, deaf):
            raw.close()


def test_answers_nobody_fetches(daemon: Daemon, health: Health, person: str) -> None:
    """Somebody asks for 100 KiB three hundred times and reads nothing: it is cut off when 8 MiB wait."""
    memory = health.resident_bytes()
    with Raw(daemon, "c2s_tls", receive_bytes=4096) as raw:
        raw.login(person)
        vcard = f"<vCard xmlns='{ns.VCARD}'><NOTE>{'z' * 100_000}</NOTE></vCard>"
        assert raw.ask("set", vcard).get("type") == "result"
        raw.send("".join(f"<iq type='get' id='v{n}'><vCard xmlns='{ns.VCARD}'/></iq>" for n in range(300)))
        wait_for_log(daemon, f"{raw.jid} 127.0.0.1> does not take what it is sent: cut")
        grown = health.resident_bytes() - memory
        with pytest.raises(Cut):
            for n in range(300):
                assert raw.until("iq", type="result").get("id") == f"v{n}"
    print(f"\nmemory +{grown >> 10} KiB while it waited")
    assert grown < GROWN_MOST
