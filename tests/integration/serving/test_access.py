"""Who may ask: API keys, TLS, and what changes without a restart."""

from __future__ import annotations

import ssl
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from slipway.serving.grpc import open_inference_pb2 as pb
from tests.fakes.serving import DEADLINE, command, environment, infer_body, serving, wait_for
from tests.fakes.stores import unused_port

KEY, OTHER = "a-key-that-is-long-enough", "another-key-that-is-long"
BODY = infer_body([[1, 2, 3]])


def call(channel: grpc.Channel, method: str, request: Any, kind: Any, *metadata: tuple[str, str]) -> Any:
    path = f"/inference.GRPCInferenceService/{method}"
    ask = channel.unary_unary(path, request_serializer=kind_bytes, response_deserializer=kind.FromString)
    return ask(request, metadata=metadata, timeout=DEADLINE)


def kind_bytes(message: Any) -> bytes:
    return message.SerializeToString()  # type: ignore[no-any-return]


def certificate(folder: Path, name: str) -> bytes:
    """Writes cert.pem and key.pem for 127.0.0.1; gives the certificate as DER."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "key.pem").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    (folder / "cert.pem").write_bytes(made.public_bytes(pem))
    return made.public_bytes(serialization.Encoding.DER)


def test_an_api_key_is_asked_for_everywhere_but_health_and_metrics(models: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"# for tests\n{KEY}\n")
    port = unused_port()
    with serving(tmp_path, f"--model={models}/echo.onnx", f"--api-key-file={keys}", f"--grpc-port={port}", "--access-log") as own:
        for path in ("/v2/health/live", "/v2/health/ready", "/metrics"):
            assert own.get(path).status_code == 200, path
        for path in ("/v2", "/", "/openapi.json", "/v2/models/echo", "/nothing"):
            assert own.get(path).status_code == 401, path
        refused = own.post("/v2/models/echo/infer", BODY)
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
        assert own.post("/v2/models/echo/infer", BODY, headers={"authorization": "Bearer wrong"}).status_code == 401
        for headers in ({"authorization": f"Bearer {KEY}"}, {"x-api-key": KEY}):
            assert own.post("/v2/models/echo/infer", BODY, headers=headers).status_code == 200
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            assert call(channel, "ServerLive", pb.ServerLiveRequest(), pb.ServerLiveResponse).live
            with pytest.raises(grpc.RpcError, match="UNAUTHENTICATED"):
                call(channel, "ServerMetadata", pb.ServerMetadataRequest(), pb.ServerMetadataResponse)
            key = ("authorization", f"Bearer {KEY}")
            assert call(channel, "ServerMetadata", pb.ServerMetadataRequest(), pb.ServerMetadataResponse, key).name == "slipway"
        keys.write_text(f"{OTHER}\n")
        wait_for(lambda: own.post("/v2/models/echo/infer", BODY, headers={"x-api-key": OTHER}).status_code == 200)
        assert own.post("/v2/models/echo/infer", BODY, headers={"x-api-key": KEY}).status_code == 401
        log = own.log.read_text()
        assert KEY not in log
        assert OTHER not in log


@pytest.mark.parametrize(("content", "message"), [("", "holds no key"), ("short\n", "can be guessed"), (None, "No such file")])
def test_a_key_file_that_protects_nothing_is_refused(models: Path, tmp_path: Path, content: str | None, message: str) -> None:
    keys = tmp_path / "keys"
    if content is not None:
        keys.write_text(content)
    words = command("--port=0", f"--model={models}/echo.onnx", f"--api-key-file={keys}")
    done = subprocess.run(words, env=environment(), capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert done.returncode == 2
    assert message in done.stderr.splitlines()[-1]


def test_tls_and_its_renewal(models: Path, tmp_path: Path) -> None:
    first = certificate(tmp_path, "first")
    port = unused_port()
    words = (
        f"--model={models}/echo.onnx",
        f"--tls-cert={tmp_path}/cert.pem",
        f"--tls-key={tmp_path}/key.pem",
        f"--grpc-port={port}",
    )
    with serving(tmp_path, *words) as own:

        def shown() -> bytes:
            return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", own.port)))

        assert own.url.startswith("https://")
        assert shown() == first
        with httpx.Client(verify=False, timeout=DEADLINE) as client:
            assert client.post(f"{own.url}/v2/models/echo/infer", json=BODY).json()["outputs"][1]["data"] == [6.0]
            large = infer_body([[1, 2, 3]] * 9000)
            assert len(client.post(f"{own.url}/v2/models/echo/infer", json=large).json()["outputs"][1]["data"]) == 9000
        (tmp_path / "cert.pem").write_text("no certificate")
        wait_for(lambda: any("could not be read again" in line["event"] for line in own.lines()))
        assert shown() == first, "the old one stays"
        second = certificate(tmp_path, "second")
        wait_for(lambda: shown() == second)
        trusted = grpc.ssl_channel_credentials((tmp_path / "cert.pem").read_bytes())
        named = (("grpc.ssl_target_name_override", "localhost"),)
        with grpc.secure_channel(f"127.0.0.1:{port}", trusted, named) as channel:
            assert call(channel, "ServerReady", pb.ServerReadyRequest(), pb.ServerReadyResponse).ready
