"""``python -m slipway.serving``: what the pod runs."""

from __future__ import annotations

import sys

from slipway.serving.arguments import parse
from slipway.serving.errors import StartError
from slipway.serving.run import fail, leave, main
from slipway.serving.settings import environment

if __name__ == "__main__":
    try:
        chosen = parse(sys.argv[1:], environment())
    except StartError as error:
        leave(fail(error))
    main(chosen)
