"""The process environment, for those who need no settings: pods start quicker without the library that reads them."""

from __future__ import annotations

import os
from collections.abc import Mapping


def environment() -> Mapping[str, str]:
    """The process environment, for the few libraries and pods that are configured by it."""
    return os.environ
