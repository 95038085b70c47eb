"""Every endpoint of REST as one table: what the dispatcher goes by, and what the OpenAPI document
is made from.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

from fake_server.reports import PARAMETERS as REPORT_PARAMETERS
from recorder.track.rules import Rules

__all__ = ["ROUTES", "Endpoint", "Parameter", "Route", "methods_of"]

ParameterType: TypeAlias = Literal["id", "date", "boolean", "seconds", "text"]

BodyKind: TypeAlias = Literal["none", "login", "devices", "beacons", "positions", "report"]
"""What a request carries: nothing, the form of a login, one object of a kind, or the parameters of
a report as JSON.
"""

AnswerKind: TypeAlias = Literal[
    "none",
    "user",
    "devices",
    "beacons",
    "positions",
    "object",
    "route",
    "events",
    "summary",
    "server",
    "empty",
]
"""What a success carries: nothing, a user, a list of a kind, the ``object`` that was sent, the rows
of a report, the server's settings, or a list that is ``empty``.
"""

Endpoint: TypeAlias = Literal["session", "objects", "report", "start"]
"""Which part of the server answers."""


class Parameter(msgspec.Struct, frozen=True):
    """A query parameter. ``source`` is the evidence: a section of the manual, Traccar lineage, seen
    in clients, or assumption.
    """

    name: str
    type: ParameterType
    description: str
    source: str
    repeatable: bool = False
    required: bool = False


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One method of one path.

    ``path`` may end in ``{id}``. ``kind`` is the kind of objects, or the report, that it is about;
    else what ``path`` ends in. ``success`` is a status, or the field of Rules that holds it.
    Without ``needs_session`` anybody may call it. ``section`` is of the manual; ``source`` the
    evidence where it is not the manual's.
    """

    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    endpoint: Endpoint
    kind: str
    summary: str
    section: str
    source: str = "manual"
    parameters: tuple[Parameter, ...] = ()
    body: BodyKind = "none"
    answer: AnswerKind = "none"
    success: int | str = 200
    needs_session: bool = True

    def status(self, rules: Rules) -> int:
        """The status of a success."""
        if isinstance(self.success, int):
            return self.success
        status: int = getattr(rules, self.success)
        return status

    @property
    def parameter_names(self) -> frozenset[str]:
        """The parameters that it knows."""
        return frozenset(parameter.name for parameter in self.parameters)


_ID: Final = Parameter(
    "id", "id", "Only those with these ids, in their order.", "Traccar lineage", repeatable=True
)

_QUERIES: Final[dict[str, tuple[Parameter, ...]]] = {
    "devices": (
        _ID,
        Parameter(
            "uniqueId",
            "text",
            "Only those with these uniqueIds, in their order.",
            "Traccar lineage",
            repeatable=True,
        ),
        Parameter("all", "boolean", "All that the user may see.", "Traccar lineage"),
        Parameter("userId", "id", "Those of a user; only one's own.", "Traccar lineage"),
    ),
    "beacons": (_ID,),
    "positions": (
        Parameter(
            "id",
            "id",
            "The positions with these ids, of any time, in their order; wins over deviceId.",
            "manual 4.3.1; repeatable: Traccar lineage",
            repeatable=True,
        ),
        Parameter(
            "deviceId", "id", "The latest position of a device; 0 is all devices.", "manual 4.3.2"
        ),
        Parameter(
            "from", "date", "With deviceId and to: its history by fixTime.", "Traccar lineage"
        ),
        Parameter("to", "date", "With deviceId and from.", "Traccar lineage"),
    ),
}

_SECTIONS: Final = {"devices": "4.4", "beacons": "4.5", "positions": "4.2"}

_START_LISTS: Final = (
    "geofences",
    "groups",
    "drivers",
    "maintenance",
    "calendars",
    "notifications",
)


def _session_routes() -> list[Route]:
    path = "/api/session"
    return [
        Route(
            method="POST",
            path=path,
            endpoint="session",
            kind="session",
            summary="Log in: begin a session.",
            section="2",
            body="login",
            answer="user",
            needs_session=False,
        ),
        Route(
            method="GET",
            path=path,
            endpoint="session",
            kind="session",
            summary="Who is logged in.",
            section="2",
            source="Traccar lineage",
            answer="user",
            needs_session=False,
        ),
        Route(
            method="DELETE",
            path=path,
            endpoint="session",
            kind="session",
            summary="Log out: end the session.",
            section="2",
            source="Traccar lineage",
            success=204,
        ),
    ]


def _object_routes(kind: Literal["devices", "beacons", "positions"]) -> list[Route]:
    path, one = f"/api/{kind}", kind.removesuffix("s")
    return [
        Route(
            method="GET",
            path=path,
            endpoint="objects",
            kind=kind,
            summary=f"The {kind} that the user may see.",
            section=_SECTIONS[kind],
            parameters=_QUERIES[kind],
            answer=kind,
        ),
        Route(
            method="POST",
            path=path,
            endpoint="objects",
            kind=kind,
            summary=f"Create a {one}; its id is given by the server.",
            section="4.1",
            body=kind,
            answer="object",
            success="status_created",
        ),
        Route(
            method="PUT",
            path=f"{path}/{{id}}",
            endpoint="objects",
            kind=kind,
            summary=f"Update a {one}; wants the full object.",
            section="4.7",
            body=kind,
            answer="object",
            success="status_updated",
        ),
        Route(
            method="DELETE",
            path=f"{path}/{{id}}",
            endpoint="objects",
            kind=kind,
            summary=f"Delete a {one}.",
            section="4.1",
            source="Traccar lineage",
            success="status_deleted",
        ),
    ]


def _report_routes(kind: Literal["route", "events", "summary"]) -> list[Route]:
    parameters = tuple(
        Parameter(one.name, one.kind, one.description, one.source, one.repeatable, one.required)
        for one in REPORT_PARAMETERS
    )
    path, source = f"/api/reports/{kind}", "manual" if kind == "route" else "seen in clients"
    return [
        Route(
            method="GET",
            path=path,
            endpoint="report",
            kind=kind,
            summary=f"The report {kind} of devices in a period.",
            section="4.6",
            source=source,
            parameters=parameters,
            answer=kind,
        ),
        Route(
            method="POST",
            path=path,
            endpoint="report",
            kind=kind,
            summary=f"The report {kind}, its parameters as JSON.",
            section="4.6",
            source="seen in clients",
            body="report",
            answer=kind,
        ),
    ]


def _start_routes() -> list[Route]:
    server = Route(
        method="GET",
        path="/api/server",
        endpoint="start",
        kind="server",
        summary="Settings of the server, which web clients ask for on start.",
        section="4",
        source="Traccar lineage",
        answer="server",
        needs_session=False,
    )
    return [server] + [
        Route(
            method="GET",
            path=f"/api/{kind}",
            endpoint="start",
            kind=kind,
            summary=f"The {kind}, which web clients ask for on start: there are none.",
            section="4",
            source="Traccar lineage",
            parameters=tuple(
                Parameter(name, "id" if name.endswith("Id") else "boolean", "Ignored.", "Traccar")
                for name in ("all", "userId", "deviceId", "groupId", "refresh")
            ),
            answer="empty",
        )
        for kind in _START_LISTS
    ]


ROUTES: Final[tuple[Route, ...]] = (
    *_session_routes(),
    *_object_routes("devices"),
    *_object_routes("beacons"),
    *_object_routes("positions"),
    *_report_routes("route"),
    *_report_routes("events"),
    *_report_routes("summary"),
    *_start_routes(),
)
"""All endpoints that the server computes."""

_BY_PATH: Final[dict[str, dict[str, Route]]] = {}
for _route in ROUTES:
    _BY_PATH.setdefault(_route.path, {})[_route.method] = _route


def methods_of(path: str) -> tuple[dict[str, Route], str]:
    """The routes of a path by method, none if there is no such path, and what stands for
    ``{id}`` in it. ``path`` has no query.
    """
    methods = _BY_PATH.get(path)
    if methods is not None:
        return methods, ""
    if ";" in path:
        # Path parameters (RFC 3986 3.3) take no part in matching.
        path = "/".join(segment.partition(";")[0] for segment in path.split("/"))
    path = path.removesuffix("/")
    if path in _BY_PATH:
        return _BY_PATH[path], ""
    parent, _, last = path.rpartition("/")
    return (_BY_PATH.get(f"{parent}/{{id}}", {}), last) if last else ({}, "")
