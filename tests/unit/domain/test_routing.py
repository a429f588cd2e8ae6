"""Which route a series takes, by what its conditions ask."""

from dataclasses import replace

import pytest

from node.domain.reading import Reader
from node.domain.routing import FOLDER, Sender, choose
from node.domain.site import read_site
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
