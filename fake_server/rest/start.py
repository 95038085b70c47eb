"""What web clients ask for on start: the server's settings and lists that are empty here (Traccar
lineage).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fake_server.exchange import Answer, json_answer
from fake_server.rest.recorded import recorded_answer
from fake_server.sight import Sight

if TYPE_CHECKING:
    from fake_server.rest.call import Call

__all__ = ["SERVER", "answer_start"]

SERVER: Final = (
    b'{"id":1,"attributes":{},"registration":false,"readonly":false,"deviceReadonly":false,'
    b'"limitCommands":false,"map":null,"bingKey":null,"mapUrl":null,"latitude":0.0,"longitude":0.0,'
    b'"zoom":0,"twelveHourFormat":false,"forceSettings":false,"coordinateFormat":null,'
    b'"version":"4.0","poiLayer":null,"newServer":false,"openIdEnabled":false}'
)
"""The settings; without ``newServer`` and ``openIdEnabled`` later web clients show no login."""


def answer_start(call: Call) -> Answer:
    """The recorded answer to this call, else the settings or an empty list."""
    accounts = call.rest.accounts
    sight = accounts.sight(call.account) if call.account else Sight()
    recorded = recorded_answer(call.rest.source, "GET", call.request.target, sight)
    if recorded is not None:
        return recorded
    return json_answer(SERVER if call.kind == "server" else b"[]")
