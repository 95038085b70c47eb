"""Values of options that more than one command takes."""

from __future__ import annotations

from typing import Any

import click

__all__ = ["Duration", "Size"]


class Duration(click.ParamType[Any]):
    """Seconds as a float, from ``90``, ``30s``, ``10m`` or ``24h``."""

    name = "DURATION"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        text = str(value).strip()
        unit = {"s": 1.0, "m": 60.0, "h": 3600.0}.get(text[-1:])
        try:
            seconds = float(text[:-1]) * unit if unit is not None else float(text)
        except ValueError:
            seconds = 0.0
        if not 0 < seconds < float("inf"):
            self.fail(
                f"{text!r} is no duration: seconds, or a number with s, m or h behind it",
                param,
                ctx,
            )
        return seconds


class Size(click.ParamType[Any]):
    """Bytes as an int, from ``65536``, ``64k``, ``100M`` or ``2G``; a k is 1000, as of disks."""

    name = "SIZE"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        text = str(value).strip()
        unit = {"k": 10**3, "m": 10**6, "g": 10**9}.get(text[-1:].lower())
        try:
            size_bytes = int(float(text[:-1]) * unit) if unit is not None else int(text)
        except (ValueError, OverflowError):
            size_bytes = 0
        if size_bytes <= 0:
            self.fail(
                f"{text!r} is no size: bytes, or a number with k, M or G behind it", param, ctx
            )
        return size_bytes
