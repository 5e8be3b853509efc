"""What is wrong among the [[component]] tables, and between them and the rest, though each setting is right alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from chatd.settings import Component, Listen
from chatd.settings.kinds import Address

__all__ = ["LEAST_SECRET", "Wrong", "check_components", "components_with_secrets"]

LEAST_SECRET = 16
"""Characters: whoever is on this machine may try."""
OURS = ("conference", "guest", "meet")
"""What a domain of ours has below itself."""
Wrong = tuple[str, str, str]
"""Key, problem, what would be right."""


def check_components(
    components: Iterable[Component], domains: Iterable[Mapping[str, Any]], listen: Mapping[str, Any]
) -> Iterator[Wrong]:
    """Give what is wrong. domains, listen: as read from the file so far."""
    names = {str(domain.get("name")) for domain in domains}
    taken = names | {f"{word}.{name}" for name in names for word in OURS}
    for number, component in enumerate(components):
        where = f"component[{number}]"
        if component.domain in taken:
            yield f"{where}.domain", f'"{component.domain}" is served already', "a domain of its own"
        taken.add(component.domain)
        if component.secret and component.secret_file:
            yield f"{where}.secret", "secret_file is given as well", "one of the two"
        elif not component.secret_file and len(component.secret) < LEAST_SECRET:
            problem = f"it is shorter than {LEAST_SECRET} characters" if component.secret else "it is missing"
            yield f"{where}.secret", problem, "a long random text here, or in a secret_file"
    addresses: tuple[Address, ...] = listen.get("component", Listen().component)
    for address in addresses:
        if not address.is_loopback:
            problem = f"{address} would take components from elsewhere, and their protocol knows no TLS"
            yield "listen.component", problem, '["127.0.0.1:5347"], and a tunnel from the other machine'


def components_with_secrets(
    components: Iterable[Component], read: Callable[[Path | None, str], str], note: Callable[[Wrong], None]
) -> tuple[Component, ...]:
    """Return the components with what stands in files of its own. read(file, key): the secret in a file; note: takes
    what is wrong with one.
    """
    found = []
    for number, component in enumerate(components):
        key = f"component[{number}].secret_file"
        secret = read(component.secret_file, key)
        if secret and len(secret) < LEAST_SECRET:
            note((key, f"what it holds is shorter than {LEAST_SECRET} characters", "a long random text in it"))
        found.append(attrs.evolve(component, secret=secret or component.secret, secret_file=None))
    return tuple(found)
