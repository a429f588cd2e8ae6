"""The console script ``pctnode``: thin commands over the rooms below.

Exit status: 0 done; 1 our defect; 2 wrong usage or settings; 3 a stack or series was refused or
held; 4 a peer or a resource was not available.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from node import __version__, log
from node.domain.errors import Misconfigured, NodeError, Rejected, Retryable
from node.progress import Progress
from node.settings import Settings, fault_at, load

DEFAULT_CONFIG = Path("node.toml")
_STATUS: tuple[tuple[type[NodeError], int], ...] = (
    (Misconfigured, 2),
    (Rejected, 3),
    (Retryable, 4),
    (NodeError, 1),
)
Command = Callable[[argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    arguments = _parser().parse_args(argv)
    log.configure("INFO" if arguments.verbose else "WARNING")
    command: Command = arguments.command
    try:
        return command(arguments)
    except NodeError as error:
        print(f"pctnode: {error}", file=sys.stderr)
        return next(status for kind, status in _STATUS if isinstance(error, kind))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pctnode", description="A DICOM node that turns MR series into synthetic CT."
    )
    parser.add_argument("--version", action="version", version=f"pctnode {__version__}")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--config", type=Path, help="settings file (default: node.toml, if there)")
    common.add_argument("--json", action="store_true", help="print JSON for a script")
    common.add_argument("--verbose", action="store_true", help="log to standard error")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in (_serve, _convert, _check, _demo, _peers, _routes, _series, _models):
        add(commands, common)
    return parser


def _serve(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser("serve", parents=[common], help="run the node")
    parser.add_argument("--role", choices=("all", "scp", "worker", "web"), default="all")
    parser.add_argument("--slot", type=int, default=0, help="which of several processes of a role")
    parser.set_defaults(command=_run_serve)


def _run_serve(arguments: argparse.Namespace) -> int:
    from node.processes import serve

    log.configure("INFO", role=arguments.role)
    settings = settings_of(arguments)
    check_routes(settings)
    return serve(settings, role=arguments.role, slot=arguments.slot)


def _convert(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "convert", parents=[common], help="turn a folder of MR files into synthetic CT"
    )
    parser.add_argument("in_dir", type=Path, metavar="IN_DIR")
    parser.add_argument("out_dir", type=Path, metavar="OUT_DIR")
    parser.add_argument("--model", help="name of a model in the models folder")
    parser.set_defaults(command=_run_convert)


def _run_convert(arguments: argparse.Namespace) -> int:
    from node.app import workshop
    from node.convert import convert_folder, exit_status

    tools = workshop(settings_of(arguments), model_name=arguments.model)
    with Progress() as progress:
        reports = convert_folder(arguments.in_dir, arguments.out_dir, tools, progress)
    if arguments.json:
        print(json.dumps({"stacks": [r.as_json() for r in reports]}, indent=1))
    else:
        for report in reports:
            _print_stack(report.verdict, report.series_instance_uid, report.findings)
            if report.output:
                print(f"    {report.output}")
    return exit_status(reports)


def _print_stack(verdict: str, uid: str | None, findings: Sequence[Any]) -> None:
    print(f"{verdict:10} {uid or '(no series)'}")
    for found in findings:
        print(f"    {found.severity.value:8} {found.code}: {found.sentence}")


def _check(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "check", parents=[common], help="verify settings, folders, database, models and peers"
    )
    parser.set_defaults(command=_run_check)


def _run_check(arguments: argparse.Namespace) -> int:
    from node.doctor import examine_node

    results = examine_node(settings_of(arguments))
    if arguments.json:
        print(json.dumps([r.as_json() for r in results], indent=1))
    else:
        for result in results:
            print(f"{'ok  ' if result.ok else 'FAIL'} {result.name}: {result.sentence}")
    return 0 if all(r.ok for r in results) else 4


def _demo(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "demo", parents=[common], help="run the main job once, end to end, on loopback"
    )
    parser.add_argument("series", nargs="?", type=Path, help="folder of your own MR series")
    parser.add_argument("--out", type=Path, default=Path("demo-output"))
    parser.set_defaults(command=_run_demo)


def _run_demo(arguments: argparse.Namespace) -> int:
    from node.demo.run import run_demo

    return run_demo(series=arguments.series, out=arguments.out)


def _peers(commands: Any, common: argparse.ArgumentParser) -> None:
    verbs = _verbs(commands, "peers", "the application entities the node knows")
    _verb(verbs, common, "list", _list_peers)
    add = _verb(verbs, common, "add", _add_peer)
    add.add_argument("name")
    add.add_argument("ae_title")
    add.add_argument("host")
    add.add_argument("port", type=int)
    add.add_argument("--may", nargs="*", default=[], choices=("send", "query"))
    add.add_argument("--proof", default="none", choices=("none", "commitment", "find"))
    _verb(verbs, common, "remove", _remove_peer).add_argument("name")
    _verb(verbs, common, "echo", _echo_peer).add_argument("name")


def _list_peers(arguments: argparse.Namespace) -> int:
    from node.app import current_site
    from node.domain.site import peer_mapping

    peers = current_site(settings_of(arguments)).peers
    rows = [peer_mapping(p) | {"source": p.source} for p in peers]
    return _print_rows(arguments, rows, ("name", "ae_title", "host", "port", "may", "source"))


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


def _routes(commands: Any, common: argparse.ArgumentParser) -> None:
    verbs = _verbs(commands, "routes", "which series get which model and where their sCT goes")
    _verb(verbs, common, "list", _list_routes)
    add = _verb(verbs, common, "add", _add_route)
    add.add_argument("name")
    add.add_argument("--model", required=True)
    add.add_argument("--deliver-to", nargs="*", default=[])
    add.add_argument("--from", dest="senders", nargs="*", default=[])
    add.add_argument("--when", nargs="*", default=[], metavar="ATTRIBUTE=PATTERN")
    add.add_argument("--release", default="checks-passed")
    _verb(verbs, common, "remove", _remove_route).add_argument("name")
    _verb(verbs, common, "try", _try_routes).add_argument("folder", type=Path)


def _list_routes(arguments: argparse.Namespace) -> int:
    from node.app import current_site
    from node.domain.site import route_mapping

    routes = current_site(settings_of(arguments)).routes
    rows = [route_mapping(r) | {"source": r.source} for r in routes]
    return _print_rows(
        arguments, rows, ("name", "when", "model", "deliver_to", "release", "source")
    )


def _add_route(arguments: argparse.Namespace) -> int:
    from node.app import add_route

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
    add_route(settings_of(arguments), row)
    print(f"Route {arguments.name} added.")
    return 0


def _remove_route(arguments: argparse.Namespace) -> int:
    from node.app import remove_route

    remove_route(settings_of(arguments), arguments.name)
    print(f"Route {arguments.name} removed.")
    return 0


def _try_routes(arguments: argparse.Namespace) -> int:
    from node.app import current_site, registry
    from node.convert import examine_folder, finding_json

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
    _print_rows(arguments, rows, ("series_instance_uid", "verdict", "route", "model", "why_not"))
    return 3 if refused or not rows else 0


def _series(commands: Any, common: argparse.ArgumentParser) -> None:
    verbs = _verbs(commands, "series", "what the page shows and does, from a shell")
    _verb(verbs, common, "list", _list_series)
    _verb(verbs, common, "show", _show_series).add_argument("id", type=int)
    for word in ("retry", "release", "reject", "resend"):
        verb = _verb(verbs, common, word, _act_on_series)
        verb.add_argument("id", type=int)
        verb.add_argument("--reason", default="", help="why; needed to reject")
        verb.set_defaults(action=word)


def _list_series(arguments: argparse.Namespace) -> int:
    from node.app import queries

    rows = queries(settings_of(arguments)).series_items()
    return _print_rows(arguments, rows, ("id", "state", "description", "instances", "sentence"))


def _show_series(arguments: argparse.Namespace) -> int:
    from node.app import queries

    detail = queries(settings_of(arguments)).series_detail(arguments.id)
    if detail is None:
        raise Misconfigured(
            f"There is no series {arguments.id}.", remedy="See pctnode series list."
        )
    print(json.dumps(detail, indent=1, default=str))
    return 0


def _act_on_series(arguments: argparse.Namespace) -> int:
    from node.app import act_on_series

    print(
        act_on_series(
            settings_of(arguments), arguments.id, arguments.action, reason=arguments.reason
        )
    )
    return 0


def _models(commands: Any, common: argparse.ArgumentParser) -> None:
    verbs = _verbs(commands, "models", "the generators in the models folder")
    _verb(verbs, common, "list", _list_models)
    _verb(verbs, common, "verify", _verify_models).add_argument("name", nargs="?")


def _list_models(arguments: argparse.Namespace) -> int:
    from node.app import registry

    rows = [
        {
            "name": m.ref.name,
            "version": m.ref.version,
            "body_part": m.ref.body_part,
            "spacing_mm": m.ref.spacing_mm,
            "sha256": m.ref.sha256,
        }
        for m in registry(settings_of(arguments)).models
    ]
    return _print_rows(arguments, rows, ("name", "version", "body_part", "spacing_mm", "sha256"))


def _verify_models(arguments: argparse.Namespace) -> int:
    from node.app import verify_models

    rows = verify_models(settings_of(arguments), arguments.name)
    _print_rows(arguments, rows, ("name", "version", "provider", "verdict"))
    return 0 if all(row["ok"] for row in rows) else 1


def _verbs(commands: Any, noun: str, words: str) -> Any:
    parser = commands.add_parser(noun, help=words, description=words)
    return parser.add_subparsers(required=True, metavar="VERB")


def _verb(
    verbs: Any, common: argparse.ArgumentParser, word: str, command: Command
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(word, parents=[common])
    parser.set_defaults(command=command)
    return parser


def _print_rows(
    arguments: argparse.Namespace, rows: Sequence[dict[str, Any]], columns: Sequence[str]
) -> int:
    if arguments.json:
        print(json.dumps(list(rows), indent=1, default=str))
        return 0
    print("  ".join(columns))
    for row in rows:
        print("  ".join(_cell(row.get(c)) for c in columns))
    return 0


def _cell(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(str(v) for v in value) or "-"
    return "-" if value in (None, "", {}) else str(value)


def settings_of(arguments: argparse.Namespace) -> Settings:
    """The settings a command runs with."""
    named: Path | None = arguments.config
    return load(named or (DEFAULT_CONFIG if DEFAULT_CONFIG.exists() else None))


def check_routes(settings: Settings) -> None:
    """Raise `Misconfigured` with file and line where a route names a model that is not there."""
    from node.app import registry

    names = {m.ref.name for m in registry(settings).models}
    for n, route in enumerate(settings.site.routes):
        if route.model not in names:
            raise fault_at(
                settings,
                ("routes", n, "model"),
                f"there is no model {route.model!r} in {settings.inference.models_dir}.",
                remedy=f"Models there: {', '.join(sorted(names)) or 'none'}.",
            )
