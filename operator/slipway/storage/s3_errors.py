"""What boto3 raises, in the words of the port: each message names the object, what was refused, and what helps."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any

from slipway.storage.port import Denied, NoBucket, NotFound, OutcomeUnknown, Precondition, StorageError, Unavailable

if TYPE_CHECKING:
    from slipway.storage import S3Options

_CREDENTIALS = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or run where a role gives credentials"
_DENIED = {
    "InvalidAccessKeyId": "the store does not know this access key: check AWS_ACCESS_KEY_ID and the endpoint",
    "SignatureDoesNotMatch": "the secret key does not fit the access key: check AWS_SECRET_ACCESS_KEY",
    "ExpiredToken": "the session token has expired: get new credentials",
    "ExpiredTokenException": "the session token has expired: get new credentials",
    "InvalidToken": "the session token is not valid: check AWS_SESSION_TOKEN",
    "RequestTimeTooSkewed": "this machine's clock is wrong by minutes: set it",
    "AuthorizationHeaderMalformed": "the region is wrong: set AWS_REGION to the bucket's region",
    "PermanentRedirect": "the bucket is in another region: set AWS_REGION or AWS_ENDPOINT_URL_S3",
    "AccountProblem": "the account is not in order: ask its owner",
    "InvalidObjectState": "the object is archived: restore it first",
    "KMS.DisabledException": "the encryption key is disabled: enable it",
}
_MISSING = frozenset({"404", "NoSuchKey", "NotFound"})
_CHANGED = frozenset({"412", "PreconditionFailed", "409", "ConditionalRequestConflict"})


@dataclass(frozen=True)
class Failure:
    """What was tried, so that its failure can be told. `permission` is the right that the call needs."""

    action: str
    bucket: str
    key: str
    permission: str
    options: S3Options
    conditional: bool

    @property
    def where(self) -> str:
        """``s3://bucket/key``, with the endpoint when one was given."""
        place = f"s3://{self.bucket}/{self.key}" if self.bucket else "S3"
        return f"{place} at {self.options.endpoint_url}" if self.options.endpoint_url else place


class mapped:  # noqa: N801 - reads as a statement: with mapped(failure)
    """Context manager that turns boto3's errors into those of the port."""

    def __init__(self, failure: Failure) -> None:
        self._failure = failure

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if error is None or isinstance(error, StorageError) or not isinstance(error, Exception):
            return
        translated = translate(error, self._failure)
        if translated is not None:
            raise translated from error


def translate(error: Exception, failure: Failure) -> StorageError | None:
    """The port's error for `error`; None when it is none of boto3's."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
    from botocore.exceptions import ConnectionError as NoConnection
    from urllib3.exceptions import HTTPError

    if isinstance(error, Boto3Error) and isinstance(error.__context__, BotoCoreError | ClientError):
        error = error.__context__  # upload_file wraps the real one
    if isinstance(error, ClientError):
        return _of_answer(error, failure)
    if isinstance(error, HTTPClientError | NoConnection | HTTPError | ConnectionError | TimeoutError):
        return _unreachable(error, failure)
    if isinstance(error, BotoCoreError | Boto3Error):
        return _of_client(error, failure)
    if isinstance(error, ValueError) and "endpoint" in str(error).lower():  # botocore has no class of its own for it
        return StorageError(f"cannot {failure.action}: {_plain(error)}: write AWS_ENDPOINT_URL_S3 as http://host:port")
    return None


def _of_answer(error: Any, failure: Failure) -> StorageError:
    """The store answered, and not with success."""
    answer = error.response
    code = str(answer.get("Error", {}).get("Code", ""))
    status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    said = answer.get("Error", {}).get("Message") or code
    cannot = f"cannot {failure.action} {failure.where}"
    if code == "NoSuchBucket":
        return NoBucket(f"{cannot}: there is no bucket {failure.bucket!r}: create it, or correct the URI")
    if code in _CHANGED or status == 412 or (status == 409 and failure.conditional):
        return Precondition(f"{failure.where}: not as expected ({code} {said})")
    if code in _MISSING or status == 404:
        return Precondition(f"{failure.where}: gone") if failure.conditional else NotFound(f"no object {failure.where}")
    if code in _DENIED or status in (301, 307, 401, 403):
        return Denied(f"{cannot}: {_DENIED.get(code) or _forbidden(failure, said)}")
    if status in (408, 409, 429) or status >= 500 or code in ("RequestTimeout", "SlowDown", "InternalError"):
        if status == 501:
            return StorageError(f"{cannot}: the store does not know this kind of request ({said})")
        return _not_now(f"{cannot}: the store answered {status} {code} ({said}){_space(status, said)}", failure)
    hint = ""
    if "hecksum" in said or "SHA256" in code or "TRAILER" in said.upper():
        hint = ": it may not know the SDK's checksums: set when_required_checksums"
    return StorageError(f"{cannot}: the store answered {status} {code} ({said}){hint}")


def _forbidden(failure: Failure, said: str) -> str:
    text = f"the credentials lack {failure.permission} there ({said})"
    if failure.permission == "s3:GetObject":
        text += ", or the object does not exist and they lack s3:ListBucket"
    return f"{text}: grant it"


def _space(status: int, said: str) -> str:
    full = status == 507 or "space" in said.lower() or "quota" in said.lower()
    return ": it seems to be full" if full else ""


def _unreachable(error: Exception, failure: Failure) -> StorageError:
    """No answer, or half of one."""
    from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError, SSLError

    options = failure.options
    hint = ""
    if isinstance(error, SSLError):
        hint = ": its certificate is not trusted: set AWS_CA_BUNDLE, or correct http/https in the endpoint"
    elif isinstance(error, EndpointConnectionError | ConnectTimeoutError):
        hint = ": is it up, and is AWS_ENDPOINT_URL_S3 right?"
    elif isinstance(error, ReadTimeoutError | TimeoutError):
        hint = f": no answer within {options.read_timeout:g} s"
    return _not_now(f"cannot {failure.action} {failure.where}: {_plain(error)}{hint}", failure)


def _not_now(message: str, failure: Failure) -> StorageError:
    if failure.conditional:
        return OutcomeUnknown(f"{message}; whether it was written is not known")
    return Unavailable(message)


def _of_client(error: Exception, failure: Failure) -> StorageError:
    """boto3 refused before it asked, or lost the body of an answer."""
    from botocore import exceptions as e

    cannot = f"cannot {failure.action} {failure.where}"
    if isinstance(error, e.NoCredentialsError):
        return Denied(f"{cannot}: no credentials found: {_CREDENTIALS}")
    if isinstance(error, e.ProfileNotFound | e.PartialCredentialsError | e.InvalidConfigError | e.ConfigParseError):
        return Denied(f"{cannot}: {_plain(error)}: {_CREDENTIALS}")
    if isinstance(error, e.TokenRetrievalError | e.SSOError | e.UnauthorizedSSOTokenError):
        return Denied(f"{cannot}: {_plain(error)}: log in again")
    if isinstance(error, e.CredentialRetrievalError | e.MetadataRetrievalError | e.IncompleteReadError):
        return _not_now(f"{cannot}: {_plain(error)}", failure)
    if isinstance(error, e.ResponseStreamingError | e.FlexibleChecksumError):
        return _not_now(f"{cannot}: {_plain(error)}", failure)
    return StorageError(f"{cannot}: {_plain(error)}")


def _plain(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else text[:297] + "..."
