"""What the interface says of itself: OpenAPI with summaries, tags, roles, one shape of errors."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute, iter_route_contexts

from node import __version__
from node.web.auth.security import Needs

_ERRORS = {
    "400": "The request cannot be read.",
    "401": "Nobody is logged in.",
    "403": "The role does not allow it, the proof is missing, or the page is of another site.",
    "404": "There is no such thing.",
    "409": "The state of the series or of the sCT does not allow it.",
    "413": "The body is larger than this path takes.",
    "422": "A value is not what is asked for.",
    "429": "Too many tries; Retry-After says when to come again.",
    "503": "A worker, the database or a part of this process is not there.",
}
_TAGS = (
    ("series", "Series, what was found and what was made of them"),
    ("decisions", "What a person decides about an sCT"),
    ("models", "Models: card, verification, sign-off"),
    ("network", "Peers, routes, associations, pulls"),
    ("system", "How the machine fares"),
    ("dicom-web", "QIDO-RS, WADO-RS and STOW-RS (PS3.18)"),
    ("health", "For whoever watches the node"),
    ("accounts", "Who asks"),
)
_PROBLEM: dict[str, Any] = {
    "title": "Problem",
    "type": "object",
    "required": ["detail"],
    "properties": {
        "detail": {
            "description": "A sentence, or a list of the values that are wrong.",
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "object"}}],
        }
    },
}
Operation = dict[str, Any]


def describe(app: FastAPI) -> dict[str, Any]:
    """Build the description; once for an application."""
    if app.openapi_schema is None:
        made = get_openapi(
            title="pctnode",
            version=__version__,
            description="Everything the page does. Programs show a token: Authorization: Bearer.",
            routes=app.routes,
            tags=[{"name": name, "description": text} for name, text in _TAGS],
        )
        parts = made.setdefault("components", {})
        parts.setdefault("schemas", {})["Problem"] = _PROBLEM
        parts["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        roles = _roles(app)
        for path, method, operation in operations(made):
            _complete(operation, path, roles.get((path, method)))
        app.openapi_schema = made
    return app.openapi_schema


def operations(description: dict[str, Any]) -> Iterator[tuple[str, str, Operation]]:
    """Path, method and description of each operation."""
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def fields(description: dict[str, Any], operation: Operation) -> list[dict[str, Any]]:
    """What an operation takes: parameters and the keys of a JSON body."""
    found = [
        {
            "name": p["name"],
            "in": p["in"],
            "required": p.get("required", False),
            **_kind(p["schema"]),
        }
        for p in operation.get("parameters", ())
    ]
    for media in operation.get("requestBody", {}).get("content", {}).values():
        schema = _resolved(description, media.get("schema", {}))
        required = schema.get("required", ())
        for name, part in schema.get("properties", {}).items():
            found.append({"name": name, "in": "body", "required": name in required, **_kind(part)})
    return found


def _resolved(description: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    found: dict[str, Any] = description["components"]["schemas"].get(name, schema)
    return found


def _kind(schema: dict[str, Any]) -> dict[str, str]:
    options = [schema, *schema.get("anyOf", ())]
    kind = next((str(o["type"]) for o in options if o.get("type") not in (None, "null")), "")
    return {"kind": kind, "about": str(schema.get("description", ""))}


def _complete(operation: Operation, path: str, role: str | None) -> None:
    told = str(operation.get("description", "")).strip()
    operation["summary"] = told.split("\n")[0].rstrip(".")
    operation.setdefault("tags", [_tag(path)])
    if role is not None:
        operation["x-role"] = role
        operation["security"] = [{"token": []}]
    for status, text in _ERRORS.items():
        content = {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
        operation["responses"].setdefault(status, {"description": text, "content": content})
    # A value of the wrong kind and one that is not possible are told in the same shape.
    operation["responses"]["422"]["content"] = content


def _tag(path: str) -> str:
    first = [part for part in path.split("/") if part][:2]
    if first[0] == "dicom-web":
        return "dicom-web"
    if first[0] != "api":
        return "accounts" if first[0] == "who" else "health"
    return "network" if first[1] == "pull" else first[1]


def _roles(app: FastAPI) -> dict[tuple[str, str], str]:
    """The role each path and method asks for; those open to all are left out."""
    found = {}
    for route in iter_route_contexts(app.routes):
        if not isinstance(route.original_route, APIRoute):
            continue
        needs = [d.call.role for d in route.dependant.dependencies if isinstance(d.call, Needs)]
        for method in route.methods or ():
            if needs and needs[0] is not None:
                found[str(route.path), method.lower()] = needs[0].value
    return found
