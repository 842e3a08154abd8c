"""Labels in place of what names a person, a machine or a place: hosts, users and absolute paths."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

#: An absolute path of at least two parts; not the rest of an address (`https://...`) and not a fraction (`8/255`).
_PATH = re.compile(r"(?<![\w.:/~<-])/(?:[\w.+@%-]+/)+([\w.+@%-]+)")


class Labels:
    """Replaces hosts by `host-001`, users by `user-001` and paths by the names of what they lead to.

    Numbers follow the order of the names, so that a second labelling changes nothing.

    Args:
        hosts: names of machines as environments have them.
        users: names of people as ledgers have them.
        places: folder -> what stands in its place.
    """

    def __init__(self, hosts: Iterable[str], users: Iterable[str], places: Mapping[Path, str]) -> None:
        self.hosts = _numbered("host", hosts)
        self.users = _numbered("user", users)
        forms = {form: label for path, label in places.items() for form in (str(path), str(path.resolve()))}
        self.places = [
            (re.compile(rf"(?<![\w.-]){re.escape(form)}(/|(?![\w-]))"), label)
            for form, label in sorted(forms.items(), key=lambda item: -len(item[0]))
            if len(Path(form).parts) > 1  # a home at the root of everything names nothing
        ]

    def known(self, text: str) -> str:
        """The text without the known places and hosts; everything else stays as it is."""
        for place, label in self.places:
            inside = f"{label}/" if label else ""
            text = _replaced(place, text, inside, label or ".")
        for host, label in self.hosts.items():
            text = re.sub(rf"(?<!\w){re.escape(host)}(?!\w)", label, text)
        return text

    def value(self, value: Any) -> Any:
        """A JSON value in which every text has lost its places, hosts and other absolute paths."""
        if isinstance(value, str):
            return _PATH.sub(r"PATH/\1", self.known(value))
        if isinstance(value, Mapping):
            return {name: self.value(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self.value(item) for item in value]
        return value


def _replaced(place: re.Pattern[str], text: str, inside: str, itself: str) -> str:
    return place.sub(lambda match: inside if match[1] else itself, text)


def _numbered(kind: str, names: Iterable[str]) -> dict[str, str]:
    return {name: f"{kind}-{number:03d}" for number, name in enumerate(sorted(filter(None, set(names))), 1)}
