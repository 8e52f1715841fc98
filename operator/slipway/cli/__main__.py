"""``python -m slipway.cli``: the command line where its console script is not installed."""

from slipway.cli.main import main

if __name__ == "__main__":
    main()
