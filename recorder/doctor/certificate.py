"""What a server's certificate says. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

__all__ = ["Certificate", "read_certificate"]


class Certificate(msgspec.Struct, frozen=True):
    """The parts of a certificate that a person looks at; moments are UTC."""

    subject: str
    issuer: str
    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime

    def days_left(self, now_s: float) -> int:
        """Whole days until it expires; negative after that."""
        return (self.not_after - datetime.fromtimestamp(now_s, UTC)).days

    def describe(self, now_s: float) -> list[str]:
        """Who it is for, who made it, and how long it holds, in lines."""
        names = ", ".join(self.names[:5]) or "no names"
        more = f" and {len(self.names) - 5} more" if len(self.names) > 5 else ""
        over = datetime.fromtimestamp(now_s, UTC) - self.not_after
        left = f"{self.days_left(now_s)} days left" if over.days < 0 else f"{over.days} days ago"
        return [
            f"certificate for {names}{more}",
            f"issued by {self.issuer}" + (", that is itself" if self.is_self_signed else ""),
            f"from {self.not_before:%Y-%m-%d} to {self.not_after:%Y-%m-%d}, {left}",
        ]

    @property
    def is_self_signed(self) -> bool:
        """Whether it names itself as its issuer."""
        return self.subject == self.issuer


def read_certificate(der: bytes) -> Certificate:
    """Read a certificate in DER (RFC 5280 section 4.1). Raises ValueError if it is none."""
    # A tenth of a second, which only TLS should cost.
    from cryptography import x509

    read = x509.load_der_x509_certificate(der)
    names: tuple[str, ...] = ()
    try:
        found = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = (
            *found.get_values_for_type(x509.DNSName),
            *map(str, found.get_values_for_type(x509.IPAddress)),
        )
    except x509.ExtensionNotFound:
        pass
    return Certificate(
        subject=read.subject.rfc4514_string(),
        issuer=read.issuer.rfc4514_string(),
        names=names,
        not_before=read.not_valid_before_utc,
        not_after=read.not_valid_after_utc,
    )
