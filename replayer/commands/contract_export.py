"""`track-replayer contract export`: a contract in the form of other tools."""

from __future__ import annotations

from typing import Literal

import click

from recorder.destination import destination
from replayer.contract.model import load_contract

__all__ = ["contract_export_command"]


@click.command("export")
@click.argument("contract", metavar="CONTRACT")
@click.option(
    "--to",
    "form",
    type=click.Choice(["json-schema", "asyncapi", "openapi"]),
    required=True,
    help="What to make of it.",
)
@click.option("-o", "--output", metavar="FILE", default="-", help="Where to. [default: -, stdout]")
@click.option("--force", is_flag=True, help="Overwrite FILE.")
def contract_export_command(
    contract: str,
    form: Literal["json-schema", "asyncapi", "openapi"],
    output: str,
    force: bool,
) -> None:
    """CONTRACT as a document that other tools read.

    json-schema: JSON Schema 2020-12 of each kind of message and each body of a REST call.

    asyncapi: AsyncAPI 3.0.0 of the socket, from a client's point of view.

    openapi: OpenAPI 3.1.0 of the REST calls.
    """
    # Only here: what makes the documents is of no use to the other commands.
    from replayer.contract.documents import asyncapi, json_schema, openapi

    makers = {"json-schema": json_schema, "asyncapi": asyncapi, "openapi": openapi}
    document = makers[form](load_contract(contract))
    with destination(output, force=force) as file:
        file.write(document)
