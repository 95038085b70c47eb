from __future__ import annotations

import ssl

import pytest
import trustme

from tests.faults.support import Certificates


@pytest.fixture(scope="session")
def certificates() -> Certificates:
    """One certificate for all servers of this machine, and a client that trusts it."""
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(server)
    # A client that closes with a ticket unread resets TCP, whatever the test meant to do.
    server.num_tickets = 0
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return Certificates(server, client)
