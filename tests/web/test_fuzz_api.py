"""The interface under values nobody would send, made by schemathesis from its own description."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from node.archive.files import Folder
from node.archive.people.credentials import Credentials
from node.domain.access import Identity, Role
from node.flow.client import FlowClient
from node.flow.engine import engine_url
from node.infer.model_card import card
from node.infer.registry import Registry
from node.run.system import log_lines
from node.web.api.description import describe, operations
from node.web.app import create_app
from tests.phantoms.tiny_onnx import write_affine_model
from tests.web.desks import desk_of
from tests.web.guarded import PASSWORD, Node, access_of, roles_into
from tests.web.sample import fill
from tests.web.serving import listening
from tests.web.shelf import Shelf

_EXAMPLES = 5
_CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
    ignored_auth,
]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """Serve a whole node: accounts, a day's queue, one model, an engine without a worker."""
    folder = tmp_path_factory.mktemp("fuzzed")
    roles_into(folder)
    (folder / "node.db").rename(folder / "node.sqlite")
    shelf = Shelf(root=folder)
    fill(shelf)
    write_affine_model(folder / "onnx", slope=0.2, intercept=-200.0, spacing_mm=4.0)
    registry = Registry.scan(folder / "onnx")
    access = access_of(shelf.engine)
    flow = FlowClient(shelf.engine, engine_url("", folder), Folder(folder))
    app = create_app(
        queries=shelf.queries,
        access=access,
        archive_root=folder,
        ready=dict,
        flow=flow,
        desk=desk_of(
            shelf.engine,
            models=lambda: [card(m) for m in registry.models],
            system=lambda: {"version": "0"},
            log_lines=lambda within_s: log_lines(folder, within_s),
        ),
    )
    with listening(app) as port:
        made = Node(port=port, engine=shelf.engine, access=access)
        yield made
        for client in made.clients:
            client.close()
    flow.close()
    shelf.engine.dispose()


@pytest.fixture(scope="module")
def described(node: Node) -> schemathesis.BaseSchema:
    """What the node says of its interface, asked with an administrator's token."""
    access = node.access
    assert access.accounts is not None
    account = access.accounts.log_in("admin", PASSWORD, address="127.0.0.1")
    admin = Identity(
        account_id=account, name="admin", display_name="admin", role=Role.ADMIN, how="session"
    )
    secret = Credentials(node.engine).add_token(admin, label="fuzz", role=Role.ADMIN, days=1)
    headers = {"Authorization": f"Bearer {secret}", "Origin": node.url}
    schema: schemathesis.BaseSchema = schemathesis.openapi.from_url(
        f"{node.url}/api/openapi.json", headers=headers
    )
    # What waits for a worker waits for minutes; the pull and the echo are tried with a real one.
    for path in ("/verify$", "/pull$", "/echo$", "^/dicom-web", "/routes/try$"):
        schema = schema.exclude(path_regex=path)
    return schema


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_no_value_brings_an_operation_out_of_its_description(
    described: schemathesis.BaseSchema, node: Node, mode: GenerationMode
) -> None:
    """Never 500, only statuses, types and shapes that are described; what is wrong is refused."""
    wrong: list[str] = []
    for found in described.get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()
        if mode is GenerationMode.NEGATIVE and not _takes_something(operation):
            continue

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(max_examples=_EXAMPLES, deadline=None, derandomize=True, database=None,
                  suppress_health_check=list(HealthCheck))  # fmt: skip
        def ask(case: Case[Any]) -> None:
            case.call_and_validate(headers={"Origin": node.url}, checks=_CHECKS, timeout=30)

        try:
            ask()
        except FailureGroup as failures:
            wrong += [f"{operation.label}: {f}" for f in failures.exceptions]

    assert not wrong, "\n\n".join(wrong)


def _takes_something(operation: APIOperation[Any, Any, Any, Any]) -> bool:
    return bool(operation.path_parameters or operation.query or operation.body)


def test_every_operation_is_described(tmp_path: Path) -> None:
    """Summary, tag, role and one shape of errors for each; no two ids alike."""
    shelf = Shelf(root=tmp_path)
    told = describe(create_app(queries=shelf.queries))
    ids = [o["operationId"] for _, _, o in operations(told)]
    names = {tag["name"] for tag in told["tags"]}

    assert len(ids) == len(set(ids)) > 25
    for path, method, operation in operations(told):
        where = f"{method} {path}"
        assert operation["summary"], where
        assert len(operation["tags"]) == 1, where
        assert set(operation["tags"]) <= names, where
        assert "x-role" in operation or path in ("/healthz", "/readyz"), where
        for status in ("401", "404", "422"):
            assert "Problem" in str(operation["responses"][status]), where
    shelf.engine.dispose()
