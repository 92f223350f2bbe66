"""Certificates made by the openssl program: self-signed, of any time."""

import subprocess
from pathlib import Path
from typing import NamedTuple

CONFIGURATION = """
[ca]
default_ca = this
[this]
database = {folder}/index
new_certs_dir = {folder}
rand_serial = yes
default_md = sha256
policy = any
email_in_dn = no
[any]
commonName = supplied
[names]
subjectAltName = DNS:{name}
basicConstraints = critical,CA:true
"""


class Certificate(NamedTuple):
    """Two files in PEM, and the certificate's bytes (DER)."""

    key: Path
    certificate: Path
    der: bytes


def self_signed(folder: Path, name: str, start: str, end: str) -> Certificate:
    """A certificate for a host name; times as 20260101000000Z."""
    folder.mkdir(parents=True)
    (folder / "index").touch()
    configuration = folder / "openssl.cnf"
    configuration.write_text(CONFIGURATION.format(folder=folder, name=name), "utf-8")
    key, request, made = (folder / each for each in ("key.pem", "request.pem", "certificate.pem"))
    _openssl(
        *("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}"),
        *("-keyout", str(key), "-out", str(request)),
    )
    # `openssl req -x509` takes no end in the past before its release 3.4.
    _openssl(
        *("ca", "-batch", "-selfsign", "-notext", "-config", str(configuration)),
        *("-extensions", "names", "-startdate", start, "-enddate", end),
        *("-keyfile", str(key), "-in", str(request), "-out", str(made)),
    )
    der = folder / "certificate.der"
    _openssl("x509", "-in", str(made), "-outform", "DER", "-out", str(der))
    return Certificate(key, made, der.read_bytes())


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
