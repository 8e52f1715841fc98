"""Signed envelopes (DSSE, https://github.com/secure-systems-lab/dsse) with keys on NIST curves, as model-signing has them.

Only what a check needs: the serving image verifies with this and the package `cryptography` alone.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey, EllipticCurvePublicKey

_BLOCK = re.compile("-----BEGIN PUBLIC KEY-----.+?-----END PUBLIC KEY-----", re.DOTALL)
CURVES = ("secp256r1", "secp384r1", "secp521r1")


class SignatureInvalid(ValueError):
    """An envelope that no trusted key has signed, or that is none."""


class KeyInvalid(ValueError):
    """A key that cannot be used. The message says what belongs there."""


def load_public_keys(pem: str) -> tuple[EllipticCurvePublicKey, ...]:
    """All public keys in `pem`, one block after the other, on P-256, P-384 or P-521. Raises KeyInvalid."""
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    keys = []
    for number, block in enumerate(_BLOCK.findall(pem), 1):
        try:
            key = load_pem_public_key(block.encode())
        except (ValueError, TypeError) as error:
            raise KeyInvalid(f"public key {number} cannot be read: {error}") from error
        if not isinstance(key, EllipticCurvePublicKey) or key.curve.name not in CURVES:
            raise KeyInvalid(f"public key {number}: a key on P-256, P-384 or P-521 is needed")
        keys.append(key)
    if pem.strip() and not keys:
        raise KeyInvalid("no '-----BEGIN PUBLIC KEY-----' in what should hold public keys")
    return tuple(keys)


def load_private_key(path: Path) -> EllipticCurvePrivateKey:
    """A PEM file with an unencrypted private key on P-256, P-384 or P-521. Raises KeyInvalid."""
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise KeyInvalid(f"{path}: no unencrypted private key in PEM form") from error
    if not isinstance(key, EllipticCurvePrivateKey) or key.curve.name not in CURVES:
        raise KeyInvalid(f"{path}: a key on P-256, P-384 or P-521 is needed")
    return key


def key_id(key: EllipticCurvePublicKey) -> str:
    """How a key is told from others: sha256 over its PEM, as model-signing's hint."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return hashlib.sha256(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def seal(payload: bytes, payload_type: str, key: EllipticCurvePrivateKey) -> dict[str, Any]:
    """The envelope around `payload`."""
    signature = key.sign(_pae(payload_type, payload), _scheme(key.curve.key_size))
    return {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": payload_type,
        "signatures": [{"keyid": key_id(key.public_key()), "sig": base64.b64encode(signature).decode()}],
    }


def unseal(envelope: Any, payload_type: str, keys: tuple[EllipticCurvePublicKey, ...]) -> bytes:
    """The payload, when one of `keys` has signed it. Raises SignatureInvalid."""
    payload, kind, signatures = parts(envelope)
    if kind != payload_type:
        raise SignatureInvalid(f"the envelope holds {kind[:80]!r}, {payload_type!r} belongs there")
    signed = _pae(kind, payload)
    if any(_holds(key, sig, signed) for key in keys for sig in signatures):
        return payload
    raise SignatureInvalid("signed by none of the trusted keys, or changed after it was signed")


def parts(envelope: Any) -> tuple[bytes, str, tuple[bytes, ...]]:
    """Payload, its type and the signatures, nothing checked. Raises SignatureInvalid for what is no envelope."""
    try:
        payload = base64.b64decode(envelope["payload"], validate=True)
        kind = envelope["payloadType"]
        signatures = tuple(_unbase64(entry["sig"]) for entry in envelope["signatures"])
    except (KeyError, TypeError, AttributeError, binascii.Error, ValueError) as error:
        raise SignatureInvalid(f"no DSSE envelope: {type(error).__name__}") from error
    if not isinstance(kind, str):
        raise SignatureInvalid("no DSSE envelope: payloadType is no text")
    return payload, kind, signatures


def load_json(data: bytes) -> Any:
    """Raises SignatureInvalid for what is no JSON."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise SignatureInvalid("no JSON") from error


def _unbase64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _holds(key: EllipticCurvePublicKey, signature: bytes, signed: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        key.verify(signature, signed, _scheme(key.curve.key_size))
    except InvalidSignature:
        return False
    return True


def _scheme(bits: int) -> ECDSA:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA

    return ECDSA({256: hashes.SHA256(), 384: hashes.SHA384()}.get(bits, hashes.SHA512()))


def _pae(kind: str, payload: bytes) -> bytes:
    """What is signed: DSSE's pre-authentication encoding."""
    name = kind.encode()
    return b"DSSEv1 %d %b %d %b" % (len(name), name, len(payload), payload)
