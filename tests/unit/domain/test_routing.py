"""Which route a series takes, by what its conditions ask."""

from dataclasses import replace
from typing import Any

import pytest

from node.domain.findings import Severity
from node.domain.plan import ReleasePolicy
from node.domain.reading import Reader
from node.domain.routing import FOLDER, Sender, Share, choose, choose_for_all
from node.domain.site import Site, read_site
from tests.unit.domain.headers import header

PACS = {"name": "pacs", "ae_title": "PACS", "host": "10.0.0.5", "port": 104}
SENDER = Sender(peer="pacs", called_ae="MRSCT")
HEADER = replace(
    header(0),
    model_name="Skyra",
    station_name="MR2",
    sequence_name="*tfl3d1_16ns",
    scanning_sequence=("GR", "IR"),
    protocol_name="t1_mprage_sag",
)


@pytest.mark.parametrize(
    ("when", "why"),
    [
        ({"called_ae": "MRSCT"}, ""),
        ({"called_ae": ["PCTNODE", "OTHER"]}, "called_ae is MRSCT, not PCTNODE or OTHER"),
        ({"scanner": "sky*"}, ""),
        ({"scanner": "Prisma*"}, "scanner is Skyra, not Prisma*"),
        ({"station_name": ["MR1", "MR2"]}, ""),
        ({"station_name": "MR1"}, "station_name is MR2, not MR1"),
        ({"sequence": "*tfl3d*"}, ""),
        ({"sequence": "IR"}, ""),
        ({"sequence": "SE"}, "sequence is *tfl3d1_16ns, GR, IR, not SE"),
        ({"protocol_name": "T1_MPRAGE*"}, ""),
        ({"protocol_name": "t2*"}, "protocol_name is t1_mprage_sag, not t2*"),
        ({"from": ["pacs"], "scanner": "skyra", "called_ae": "mrsct"}, ""),
    ],
)
def test_a_route_asks_for_what_the_site_can_tell_apart(when: dict[str, object], why: str) -> None:
    """Called title, scanner, station, sequence and protocol, without case; else the reason."""
    route = {"name": "r", "model": "m", "when": when}
    site = read_site(Reader({"peers": [PACS], "routes": [route]}))

    choice = choose(site, HEADER, SENDER)

    assert (choice.route is None) == bool(why)
    assert choice.reasons == ({"r": why} if why else {})


@pytest.mark.parametrize(
    ("sender", "why"),
    [
        (SENDER, ""),
        (Sender(peer="mr2", called_ae="MRSCT"), "it came from mr2, not from pacs"),
        (
            Sender(peer=None, called_ae="MRSCT"),
            "its sender is no known peer; the route asks for pacs",
        ),
        (Sender(peer=None, called_ae=""), "its sender is no known peer; the route asks for pacs"),
        (FOLDER, ""),
    ],
    ids=["the peer", "another", "unknown", "over HTTP", "a folder"],
)
def test_a_route_of_one_sender_is_for_that_one(sender: Sender, why: str) -> None:
    """What a person stores over HTTP has not come from the archive."""
    route = {"name": "r", "model": "m", "when": {"from": ["pacs"]}}
    site = read_site(Reader({"peers": [PACS], "routes": [route]}))

    choice = choose(site, HEADER, sender)

    assert choice.reasons == ({"r": why} if why else {})


def _share(instances: int, *, peer: str | None = "pacs", called: str = "PCTNODE") -> Share:
    return Share(sender=Sender(peer=peer, called_ae=called), calling_ae="X", instances=instances)


def _two_routes(**second: Any) -> Site:
    """Route ``auto`` for who calls PCTNODE, route ``careful`` for who calls PCTCARE."""
    first = {
        "name": "auto",
        "when": {"called_ae": "PCTNODE"},
        "model": "tiny",
        "deliver_to": ["tps"],
        "release": "auto",
        "allow_derived": True,
        "findings": {"SLICES_THICK": "warn", "SENDER_ABORTED": "warn"},
    }
    careful = {
        "name": "careful",
        "when": {"called_ae": "PCTCARE"},
        "model": "tiny",
        "deliver_to": ["tps"],
        "release": "checks-passed",
        "findings": {"SLICES_THICK": "refuse"},
    }
    peers = [
        {"name": "pacs", "ae_title": "PACS", "host": "h", "port": 1},
        {"name": "tps", "ae_title": "TPS", "host": "h", "port": 2},
    ]
    return read_site(Reader({"peers": peers, "routes": [first, careful | second]}))


def test_senders_of_one_route_agree() -> None:
    """Nothing is said of them, however many there are."""
    choice = choose_for_all(_two_routes(), header(0), [_share(34), _share(1, peer=None)])
    assert choice.route is not None
    assert choice.route.name == "auto"
    assert choice.findings == ()


@pytest.mark.parametrize(("first", "second"), [(34, 1), (1, 34)])
def test_the_strictest_policy_of_all_senders_counts(first: int, second: int) -> None:
    """Whoever came first or most: one careful sender is enough."""
    shares = [_share(first), _share(second, called="PCTCARE")]
    shares.sort(key=lambda share: -share.instances)
    choice = choose_for_all(_two_routes(), header(0), shares)
    assert choice.route is not None
    assert choice.route.release is ReleasePolicy.CHECKS_PASSED
    assert not choice.route.allow_derived
    assert choice.route.actions["SLICES_THICK"] is Severity.REFUSE
    assert choice.route.actions["SENDER_ABORTED"] is Severity.HOLD
    (found,) = choice.findings
    assert (found.code, found.severity) == ("SENDERS_DIFFER", Severity.WARNING)
    assert f"pacs → PCTCARE ({second}): careful" in found.sentence


@pytest.mark.parametrize("differing", [{"model": "other"}, {"deliver_to": []}])
def test_routes_to_other_models_or_destinations_hold(differing: dict[str, Any]) -> None:
    """The most instances give the route, and a person decides."""
    shares = [_share(20, called="PCTCARE"), _share(15)]
    choice = choose_for_all(_two_routes(**differing), header(0), shares)
    assert choice.route is not None
    assert choice.route.name == "careful"
    assert [f.severity for f in choice.findings] == [Severity.HOLD]


def test_a_stray_sender_strands_nothing() -> None:
    """One without a route is told of; the others' route is taken, wherever it stands."""
    for shares in ([_share(34), _share(1, called="ELSE")], [_share(20, called="ELSE"), _share(15)]):
        choice = choose_for_all(_two_routes(), header(0), shares)
        assert choice.route is not None
        assert choice.route.release is ReleasePolicy.AUTO
        assert [f.code for f in choice.findings] == ["SENDER_STRAY"]


def test_a_series_whose_senders_all_have_no_route_is_kept() -> None:
    """With the reasons for who sent the most of it."""
    choice = choose_for_all(_two_routes(), header(0), [_share(3, called="ELSE")])
    assert choice.route is None
    assert set(choice.reasons) == {"auto", "careful"}
