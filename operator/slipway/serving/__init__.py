"""The model server, `slipway serve`: one process that answers the Open Inference Protocol v2 for one model.

Application code around a model imports `HTTPError` and `Context` from here. Importing this package is cheap: numpy, ONNX
Runtime and the HTTP server are imported when a server starts.
"""

from __future__ import annotations

from slipway.serving.errors import HTTPError
from slipway.serving.service import Context

__all__ = ["Context", "HTTPError"]
