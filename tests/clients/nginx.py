"""nginx as the front of a backend, or of the proxy: a process of its own, with its own folder."""

from __future__ import annotations

import grp
import os
import pwd
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from string import Template

import trustme

from tests.programs import find

PAGE = Path(__file__).parents[2] / "fixtures" / "page"

_CONFIGURATION = Template("""\
user $user $group;
worker_processes 1;
pid $folder/nginx.pid;
error_log $folder/error.log notice;
daemon off;
$main
events { worker_connections 256; }
http {
    access_log off;
    client_body_temp_path $folder/body;
    proxy_temp_path $folder/proxy;
    fastcgi_temp_path $folder/fastcgi;
    uwsgi_temp_path $folder/uwsgi;
    scgi_temp_path $folder/scgi;
    types { text/html html; text/javascript js; application/json json; }
    map $$http_upgrade $$connection_upgrade { default upgrade; '' close; }
    server {
        listen 127.0.0.1:$port$tls;
        server_name localhost;
        ssl_certificate $folder/cert.pem;
        ssl_certificate_key $folder/key.pem;
        ssl_protocols TLSv1.2 TLSv1.3;
        root $root;
        $server
        location /api/ {
            proxy_pass $upstream;
            proxy_http_version 1.1;
            proxy_set_header Host $$http_host;
            proxy_set_header Upgrade $$http_upgrade;
            proxy_set_header Connection $$connection_upgrade;
            proxy_set_header X-Forwarded-For $$proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $$scheme;
            proxy_buffering off;
            $api
        }
    }
}
""")


class Nginx:
    """A running nginx at ``url``; ``ca_file`` is what its clients are to trust."""

    def __init__(self, folder: Path, upstream: str, *, tls: bool, root: Path) -> None:
        self.folder = folder
        self.ca_file = folder / "ca.pem"
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://localhost:{self.port}"
        self._fixed = {
            "user": pwd.getpwuid(os.getuid()).pw_name,
            "group": grp.getgrgid(os.getgid()).gr_name,
            "folder": folder,
            "port": self.port,
            "tls": " ssl" if tls else "",
            "upstream": upstream,
            "root": root,
        }
        authority = trustme.CA()
        certificate = authority.issue_cert("localhost", "127.0.0.1")
        authority.cert_pem.write_to_path(str(self.ca_file))
        certificate.private_key_pem.write_to_path(str(folder / "key.pem"))
        certificate.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))

    @property
    def command(self) -> list[str]:
        """nginx with this one's configuration; further arguments steer it."""
        program = find("nginx")
        assert program is not None
        at = ["-p", self.folder, "-c", self.folder / "nginx.conf", "-e", self.folder / "error.log"]
        return [program, *map(str, at)]

    def configure(self, *, main: str = "", server: str = "", api: str = "") -> None:
        """Write the configuration, with more in the blocks that are named so."""
        more = {"main": main, "server": server, "api": api}
        (self.folder / "nginx.conf").write_text(_CONFIGURATION.substitute(self._fixed, **more))

    def reload(self) -> None:
        """Let it read its configuration again, as its administrators do."""
        subprocess.run([*self.command, "-s", "reload"], check=True, timeout=20)

    def trusted(self) -> ssl.SSLContext:
        """A client's context that trusts it."""
        return ssl.create_default_context(cafile=str(self.ca_file))


@contextmanager
def nginx(
    folder: Path,
    upstream: str,
    *,
    tls: bool = True,
    root: Path = PAGE,
    main: str = "",
    server: str = "",
    api: str = "",
) -> Iterator[Nginx]:
    """nginx before ``upstream``, which gets what is under ``/api/``; the files of ``root`` are its
    own. ``main``, ``server`` and ``api`` are more of the blocks of its configuration.
    """
    folder.mkdir()
    running = Nginx(folder, upstream, tls=tls, root=root)
    running.configure(main=main, server=server, api=api)
    with running.listener as listener:
        # It takes over this listener, so that nobody else can take the port, and clients may
        # connect at once.
        fd = listener.fileno()
        process = subprocess.Popen(
            running.command, env={**os.environ, "NGINX": f"{fd};"}, pass_fds=[fd]
        )
    try:
        yield running
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)
    log = (folder / "error.log").read_text()
    assert process.returncode == 0, log
    assert "[emerg]" not in log, log
