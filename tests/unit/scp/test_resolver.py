import socket

import pytest

from node.scp.resolver import Resolver


def test_names_are_remembered_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second look within the time asks no name service; one that is away changes nothing."""
    asked: list[str] = []
    answers = iter([["10.0.0.1"], None])

    def lookup(
        host: str, _port: None, **_: int
    ) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        asked.append(host)
        found = next(answers)
        if found is None:
            raise socket.gaierror
        return [(2, 1, 6, "", (address, 0)) for address in found]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    patient, hasty = Resolver(keep_s=60), Resolver(keep_s=0)

    assert patient("a.example") == patient("a.example") == {"10.0.0.1"}
    assert asked == ["a.example"]
    hasty._known.update(patient._known)
    hasty._known["a.example"] = (0.0, frozenset({"10.0.0.1"}))
    assert hasty("a.example") == {"10.0.0.1"}
    assert asked == ["a.example"] * 2


def test_addresses_need_no_name_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address is its own address."""
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: pytest.fail("asked"))

    assert Resolver()("10.0.0.1") == {"10.0.0.1"}
    assert Resolver()("::1") == {"::1"}
