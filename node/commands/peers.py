"""``pctnode peers``: the application entities the node knows."""

import argparse
from typing import Any

from node.commands.common import add_verb, add_verbs, print_rows, settings_of


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
    add.add_argument("--proof", default="none", choices=("none", "commitment", "find"))
    add_verb(verbs, common, "remove", _remove_peer).add_argument("name")
    add_verb(verbs, common, "echo", _echo_peer).add_argument("name")


def _list_peers(arguments: argparse.Namespace) -> int:
    from node.app import current_site
    from node.domain.site import peer_mapping

    peers = current_site(settings_of(arguments)).peers
    rows = [peer_mapping(p) | {"source": p.source} for p in peers]
    return print_rows(arguments, rows, ("name", "ae_title", "host", "port", "may", "source"))


def _add_peer(arguments: argparse.Namespace) -> int:
    from node.app import add_peer

    fields = ("name", "ae_title", "host", "port", "may", "proof")
    add_peer(settings_of(arguments), {f: getattr(arguments, f) for f in fields})
    print(f"Peer {arguments.name} added.")
    return 0


def _remove_peer(arguments: argparse.Namespace) -> int:
    from node.app import remove_peer

    remove_peer(settings_of(arguments), arguments.name)
    print(f"Peer {arguments.name} removed.")
    return 0


def _echo_peer(arguments: argparse.Namespace) -> int:
    from node.app import echo_peer

    print(echo_peer(settings_of(arguments), arguments.name))
    return 0
