"""``pctnode peers``: the application entities the node knows."""

import argparse
from typing import Any

from node.commands.common import add_verb, add_verbs, changes_of, print_rows, settings_of, who
from node.domain.site import PROOFS


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add its arguments."""
    verbs = add_verbs(commands, "peers", "the application entities the node knows")
    add_verb(verbs, common, "list", _list_peers)
    add = add_verb(verbs, common, "add", _add_peer)
    add.add_argument("name")
    add.add_argument("ae_title")
    add.add_argument("host")
    add.add_argument("port", type=int)
    add.add_argument("--may", nargs="*", default=[], choices=("send", "query"))
    add.add_argument("--proof", default="none", choices=PROOFS)
    add.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="any other key")
    change = add_verb(verbs, common, "change", _change_peer)
    change.add_argument("name")
    change.add_argument("changes", nargs="+", metavar="KEY=VALUE", help="KEY= for the default")
    add_verb(verbs, common, "remove", _remove_peer).add_argument("name")
    add_verb(verbs, common, "echo", _echo_peer).add_argument("name")


def _list_peers(arguments: argparse.Namespace) -> int:
    from node.domain.site import peer_mapping
    from node.run.app import current_site

    peers = current_site(settings_of(arguments)).peers
    rows = [peer_mapping(p) | {"source": p.source} for p in peers]
    return print_rows(arguments, rows, ("name", "ae_title", "host", "port", "may", "source"))


def _add_peer(arguments: argparse.Namespace) -> int:
    from node.run.app import site_book

    fields = ("name", "ae_title", "host", "port", "may", "proof")
    wanted = {f: getattr(arguments, f) for f in fields} | changes_of(arguments.set)
    site_book(settings_of(arguments)).add("peer", wanted, who=who())
    print(f"Peer {arguments.name} added.")
    return 0


def _change_peer(arguments: argparse.Namespace) -> int:
    from node.run.app import site_book

    changes = changes_of(arguments.changes)
    site_book(settings_of(arguments)).change("peer", arguments.name, changes, who=who())
    print(f"Peer {arguments.name} changed.")
    return 0


def _remove_peer(arguments: argparse.Namespace) -> int:
    from node.run.app import site_book

    site_book(settings_of(arguments)).remove("peer", arguments.name, who=who())
    print(f"Peer {arguments.name} removed.")
    return 0


def _echo_peer(arguments: argparse.Namespace) -> int:
    from node.run.app import echo_peer

    print(echo_peer(settings_of(arguments), arguments.name))
    return 0
