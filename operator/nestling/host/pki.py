"""Certificates, keys and tokens of one host: made here, trusted by nobody else, kept here.

A certificate authority signs only for its own purpose: the one of etcd admits clients of etcd, the one of the
API server proves the API server. Renewed by `up` when less than `RENEW_BEFORE` is left.
"""

import datetime as dt
import ipaddress
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from nestling.host.paths import write_private

AUTHORITY_LIFE: Final = dt.timedelta(days=3650)
LEAF_LIFE: Final = dt.timedelta(days=365)
RENEW_BEFORE: Final = dt.timedelta(days=30)
# A clock that is a little behind ours (a virtual machine after sleep) must not find a certificate of the
# future.
BACKDATED: Final = dt.timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority on disk."""

    cert: Path
    key: Path


def token() -> str:
    """A bearer token of 256 random bits, in characters that neither a CSV file nor a header must escape."""
    return secrets.token_hex(32)


def due(cert: Path, now: dt.datetime) -> bool:
    """Whether this certificate must be made, or made anew."""
    try:
        until = x509.load_pem_x509_certificate(cert.read_bytes()).not_valid_after_utc
    except (FileNotFoundError, ValueError):
        return True
    return until - now < RENEW_BEFORE


def authority(folder: Path, name: str, now: dt.datetime) -> Authority:
    """The authority called `name`, made when it is not there yet or near its end."""
    made = Authority(folder / f"{name}-ca.crt", folder / f"{name}-ca.key")
    if not due(made.cert, now) and made.key.exists():
        return made
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(f"nestling-{name}-ca")
    usage = x509.KeyUsage(
        digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip
    certificate = (
        _builder(subject, subject, key.public_key(), now, AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    write_private(made.key, _pem(key))
    write_private(made.cert, certificate.public_bytes(serialization.Encoding.PEM))
    return made


def leaf(
    signer: Authority, folder: Path, name: str, now: dt.datetime, *, hosts: Sequence[str] = ()
) -> tuple[Path, Path]:
    """Certificate and key called `name`: of a client, and with `hosts` (names or addresses) also of a server.

    Made when it is not there yet, near its end, or not of this signer.
    """
    cert, key_file = folder / f"{name}.crt", folder / f"{name}.key"
    ca = x509.load_pem_x509_certificate(signer.cert.read_bytes())
    if not due(cert, now) and key_file.exists() and _signed_by(cert, ca):
        return cert, key_file
    ca_key = serialization.load_pem_private_key(signer.key.read_bytes(), password=None)
    assert isinstance(ca_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    purposes = [ExtendedKeyUsageOID.CLIENT_AUTH]
    if hosts:
        # The one connection that etcd's own gateway makes to itself uses the server's certificate as a
        # client.
        purposes.append(ExtendedKeyUsageOID.SERVER_AUTH)
    builder = (
        _builder(_name(name), ca.subject, key.public_key(), now, LEAF_LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        # Python 3.13 verifies strictly (RFC 5280) and refuses a leaf that does not name its issuer's key.
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
        )
    )
    if hosts:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([_san(host) for host in hosts]), critical=False
        )
    certificate = builder.sign(ca_key, hashes.SHA256())
    write_private(key_file, _pem(key))
    write_private(cert, certificate.public_bytes(serialization.Encoding.PEM))
    return cert, key_file


def signing_key(path: Path) -> Path:
    """The RSA key with which the API server signs service-account tokens, made when it is not there yet."""
    if not path.exists():
        write_private(path, _pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)))
    return path


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: dt.datetime,
    life: dt.timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + life)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _san(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _signed_by(cert: Path, ca: x509.Certificate) -> bool:
    """Whether the signature verifies, not only the names: an authority made anew keeps its name."""
    try:
        x509.load_pem_x509_certificate(cert.read_bytes()).verify_directly_issued_by(ca)
    except (OSError, ValueError, TypeError, InvalidSignature):
        return False
    return True


def _pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
