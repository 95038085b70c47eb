"""``/api/openapi.json`` and ``/api/swagger`` (manual section 4): the description of REST, and the
page that shows it. For anybody, without a session; nothing is asked of any other server.
"""

from __future__ import annotations

from typing import Final

from fake_server.exchange import Answer, json_answer
from recorder.track.rules import Rules

__all__ = ["SWAGGER_PATH", "documentation"]

SWAGGER_PATH: Final = "/api/swagger"
_DOCUMENT_PATH: Final = "/api/openapi.json"

_POLICY: Final = (
    # Swagger UI sets styles on elements, and its images are data.
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
)

_PAGE: Final = f"""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Track</title>
<link rel="stylesheet" href="{SWAGGER_PATH}/swagger-ui.css">
<link rel="stylesheet" href="{SWAGGER_PATH}/index.css">
<link rel="icon" type="image/png" href="{SWAGGER_PATH}/favicon-32x32.png">
</head>
<body>
<div id="swagger-ui"></div>
<script src="{SWAGGER_PATH}/swagger-ui-bundle.js"></script>
<script src="{SWAGGER_PATH}/start.js"></script>
</body>
</html>
"""

_START: Final = f"""\
SwaggerUIBundle({{
  url: "{_DOCUMENT_PATH}",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null
}});
"""

_HTML: Final = "text/html; charset=utf-8"
_SCRIPT: Final = "text/javascript; charset=utf-8"

_ASSETS: Final = {
    "swagger-ui.css": "text/css; charset=utf-8",
    "index.css": "text/css; charset=utf-8",
    "favicon-32x32.png": "image/png",
    "swagger-ui-bundle.js": _SCRIPT,
}
"""What of the installed package is served, and as what; no other file can be asked for."""


def documentation(path: str, rules: Rules) -> Answer | None:
    """What GET of a path answers; None if it is no path of the documentation."""
    if path == _DOCUMENT_PATH:
        # Imported here: few ask for it.
        from fake_server.rest.openapi import openapi_json

        return json_answer(openapi_json(rules))
    if path in (SWAGGER_PATH, f"{SWAGGER_PATH}/"):
        return _page(_PAGE.encode(), _HTML)
    if path == f"{SWAGGER_PATH}/start.js":
        return _page(_START.encode(), _SCRIPT)
    name = path.removeprefix(f"{SWAGGER_PATH}/")
    if name == path or name not in _ASSETS:
        return None
    return _page(_asset(name), _ASSETS[name])


def _asset(name: str) -> bytes:
    from swagger_ui_bundle import swagger_ui_path  # type: ignore[import-untyped]

    content: bytes = (swagger_ui_path / name).read_bytes()
    return content


def _page(body: bytes, content_type: str) -> Answer:
    headers = (
        ("Content-Type", content_type),
        ("Content-Security-Policy", _POLICY),
        ("X-Content-Type-Options", "nosniff"),
    )
    return Answer(200, body, headers)
