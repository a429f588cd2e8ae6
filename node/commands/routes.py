"""``pctnode routes``: which series get which model and where their sCT goes."""

import argparse
from pathlib import Path
from typing import Any

from node.commands.common import add_verb, add_verbs, changes_of, print_rows, settings_of, who


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add its arguments."""
    verbs = add_verbs(commands, "routes", "which series get which model and where their sCT goes")
    add_verb(verbs, common, "list", _list_routes)
    add = add_verb(verbs, common, "add", _add_route)
    add.add_argument("name")
    add.add_argument("--model", required=True)
    add.add_argument("--deliver-to", nargs="*", default=[])
    add.add_argument("--from", dest="senders", nargs="*", default=[])
    add.add_argument("--when", nargs="*", default=[], metavar="ATTRIBUTE=PATTERN")
    add.add_argument("--release", default="checks-passed")
    add.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="any other key")
    change = add_verb(verbs, common, "change", _change_route)
    change.add_argument("name")
    change.add_argument("changes", nargs="+", metavar="KEY=VALUE", help="KEY= for the default")
    add_verb(verbs, common, "remove", _remove_route).add_argument("name")
    add_verb(verbs, common, "try", _try_routes).add_argument("folder", type=Path)


def _list_routes(arguments: argparse.Namespace) -> int:
    from node.domain.site import route_mapping
    from node.run.app import current_site

    routes = current_site(settings_of(arguments)).routes
    rows = [route_mapping(r) | {"source": r.source} for r in routes]
    return print_rows(arguments, rows, ("name", "when", "model", "deliver_to", "release", "source"))


def _add_route(arguments: argparse.Namespace) -> int:
    from node.run.app import site_book

    when: dict[str, Any] = {"from": arguments.senders} if arguments.senders else {}
    for condition in arguments.when:
        attribute, _, pattern = condition.partition("=")
        when.setdefault(attribute, []).append(pattern)
    row = {
        "name": arguments.name,
        "when": when,
        "model": arguments.model,
        "deliver_to": arguments.deliver_to,
        "release": arguments.release,
    }
    row |= changes_of(arguments.set)
    site_book(settings_of(arguments)).add("route", row, who=who())
    print(f"Route {arguments.name} added.")
    return 0


def _change_route(arguments: argparse.Namespace) -> int:
    from node.run.app import site_book

    changes = changes_of(arguments.changes)
    site_book(settings_of(arguments)).change("route", arguments.name, changes, who=who())
    print(f"Route {arguments.name} changed.")
    return 0


def _remove_route(arguments: argparse.Namespace) -> int:
    from node.run.app import site_book

    site_book(settings_of(arguments)).remove("route", arguments.name, who=who())
    print(f"Route {arguments.name} removed.")
    return 0


def _try_routes(arguments: argparse.Namespace) -> int:
    from node.convert import examine_folder
    from node.domain.findings import finding_json
    from node.run.app import current_site
    from node.run.generators import registry

    settings = settings_of(arguments)
    models = registry(settings)
    rows, refused = [], False
    tried = examine_folder(
        arguments.folder, current_site(settings), lambda name: models.find(name).ref
    )
    for uid, examined, route, reasons in tried:
        refused |= route is None or examined.verdict.value == "refused"
        rows.append(
            {
                "series_instance_uid": uid,
                "verdict": examined.verdict.value,
                "route": route.name if route else None,
                "model": route.model if route else None,
                "deliver_to": list(route.deliver_to) if route else [],
                "why_not": reasons,
                "findings": [finding_json(f) for f in examined.findings],
            }
        )
    print_rows(arguments, rows, ("series_instance_uid", "verdict", "route", "model", "why_not"))
    return 3 if refused or not rows else 0
