"""Certificates by the ``openssl`` command (3.0 or later), and kubeconfigs.

Keys are P-256: made at once, and fine for service-account tokens. etcd has a CA of its own, because whoever holds any certificate
of the cluster could otherwise read etcd. Leaf certificates carry the key identifiers that Python 3.13's strict X.509 asks for.
"""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from local.shell import need, run

DAYS = 3650
_HINT = "install the package openssl"


@dataclass(frozen=True)
class Leaf:
    """A certificate to be issued. Name and groups are what the API server takes as user and groups."""

    name: str
    """File name without suffix."""
    common_name: str
    organisation: str = ""
    client: bool = True
    server: bool = False
    alternatives: tuple[str, ...] = ()
    """Subject alternative names as openssl writes them, ``IP:10.96.0.1`` or ``DNS:localhost``."""
    authority: str = "ca"


class Pki:
    """A folder of keys and certificates."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def certificate(self, name: str) -> Path:
        """Path of a certificate."""
        return self.folder / f"{name}.crt"

    def key(self, name: str) -> Path:
        """Path of a private key."""
        return self.folder / f"{name}.key"

    @property
    def service_account_public_key(self) -> Path:
        """The key that verifies service-account tokens; ``key("sa")`` signs them."""
        return self.folder / "sa.pub"

    def make_authority(self, name: str, common_name: str) -> None:
        """Make a self-signed CA."""
        extensions = [
            "basicConstraints=critical,CA:TRUE",
            "keyUsage=critical,keyCertSign,cRLSign,digitalSignature",
            "subjectKeyIdentifier=hash",
        ]
        self._request(name, f"/CN={common_name}", extensions, signer=None)

    def make_leaf(self, leaf: Leaf) -> None:
        """Make a key and a certificate signed by ``leaf.authority``."""
        usages = [usage for usage, wanted in (("serverAuth", leaf.server), ("clientAuth", leaf.client)) if wanted]
        extensions = [
            "basicConstraints=CA:FALSE",
            "keyUsage=critical,digitalSignature",
            f"extendedKeyUsage={','.join(usages)}",
            "subjectKeyIdentifier=hash",
            "authorityKeyIdentifier=keyid",
        ]
        if leaf.alternatives:
            extensions.append(f"subjectAltName={','.join(leaf.alternatives)}")
        organisation = f"/O={leaf.organisation}" if leaf.organisation else ""
        self._request(leaf.name, f"{organisation}/CN={leaf.common_name}", extensions, signer=leaf.authority)

    def make_service_account_key(self) -> None:
        """Make the pair of keys for service-account tokens."""
        openssl = str(need("openssl", _HINT))
        run([openssl, "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", str(self.key("sa"))])
        public = run([openssl, "pkey", "-in", str(self.key("sa")), "-pubout"])
        self.service_account_public_key.write_text(public)

    def _request(self, name: str, subject: str, extensions: Sequence[str], *, signer: str | None) -> None:
        # One command makes key and certificate. The configuration is ours alone: the system's adds extensions of its own.
        config = self.folder / f"{name}.cnf"
        config.write_text("[req]\ndistinguished_name=dn\nx509_extensions=ext\n[dn]\n[ext]\n" + "\n".join(extensions) + "\n")
        sign = ["-CA", str(self.certificate(signer)), "-CAkey", str(self.key(signer))] if signer else []
        run(
            [
                str(need("openssl", _HINT)), "req", "-x509", "-config", str(config), "-newkey", "ec",
                "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", str(self.key(name)), "-out", str(self.certificate(name)),
                "-days", str(DAYS), "-subj", subject, *sign,
            ]
        )  # fmt: skip
        config.unlink()

    def kubeconfig(self, user: str, server: str, *, namespace: str = "default") -> str:
        """A kubeconfig for the certificate `user`, with all data inline."""
        return kubeconfig(server, self.certificate("ca"), self.certificate(user), self.key(user), user, namespace)


def make(folder: Path, authorities: dict[str, str], leaves: Sequence[Leaf]) -> Pki:
    """Make all of a PKI in `folder` in one step: after an interruption it is complete or not there.

    `authorities` maps file names to common names. Raises PreflightError without openssl, CommandError if it fails.
    """
    work = folder.with_name(folder.name + ".new")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(mode=0o700, parents=True)
    pki = Pki(work)
    for name, common_name in authorities.items():
        pki.make_authority(name, common_name)
    for leaf in leaves:
        pki.make_leaf(leaf)
    pki.make_service_account_key()
    for path in work.iterdir():
        path.chmod(0o600)
        _to_disk(path)
    shutil.rmtree(folder, ignore_errors=True)
    work.rename(folder)
    return Pki(folder)


def complete(folder: Path, authorities: Sequence[str], leaves: Sequence[Leaf]) -> bool:
    """Whether every file of a PKI is there with content."""
    names = [*authorities, *(leaf.name for leaf in leaves)]
    files = [folder / f"{name}{suffix}" for name in names for suffix in (".crt", ".key")]
    files += [folder / "sa.key", folder / "sa.pub"]
    return all(file.is_file() and file.stat().st_size > 0 for file in files)


def kubeconfig(server: str, ca: Path, certificate: Path, key: Path, user: str, namespace: str = "default") -> str:
    """A kubeconfig as YAML text."""

    def inline(path: Path) -> str:
        return base64.b64encode(path.read_bytes()).decode()

    config: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "slipway", "cluster": {"server": server, "certificate-authority-data": inline(ca)}}],
        "users": [{"name": user, "user": {"client-certificate-data": inline(certificate), "client-key-data": inline(key)}}],
        "contexts": [{"name": "slipway", "context": {"cluster": "slipway", "user": user, "namespace": namespace}}],
        "current-context": "slipway",
    }
    return yaml.safe_dump(config, sort_keys=False)


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
