"""Writes docs/cli.md out of the commands' own help: ``python -m slipway.cli.docs > docs/cli.md``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import typer

from slipway.cli.lazy import load
from slipway.cli.main import COMMANDS, app
from slipway.cli.options import SHARED

WIDTH = 110
HEAD = """\
# The command line

`slipway` does by hand what the operator does by itself, and shows what it did. As `kubectl-slipway` on the `PATH` it is
also `kubectl slipway`. This page is made of the commands' own help by `python -m slipway.cli.docs`.

**Where.** Commands of the registry read and write the store alone: `--registry s3://bucket/prefix` or `SLIPWAY_REGISTRY`, with
endpoint, region and credentials the AWS way (`AWS_ENDPOINT_URL_S3`, `AWS_PROFILE`, `AWS_ACCESS_KEY_ID`, files, web identity).
A registry of one's own needs no server: `--registry file:///home/me/models`. Commands of the cluster read the kubeconfig as
kubectl does. A bare `NAME` means the namespace of `-n`, else of the kube context, else `default`; `NAMESPACE/NAME` another one.

**Answers.** `-o table|json|yaml|name`. Answers go to stdout, remarks and errors to stderr. An error is one line that names
the fix.

**Shared options.** The commands of the registry and of the cluster take these, and they may stand before the command's name too
(`slipway -n team models`):

| option | meaning |
|---|---|
| `--registry URI` | the model registry |
| `-n`, `--namespace NAMESPACE` | where a bare NAME is looked up |
| `--context NAME` | context of the kubeconfig |
| `--kubeconfig FILE` | the kubeconfig |
| `--debug` | adds the traceback to an error |

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | failed |
| 2 | wrong usage |
| 3 | not found |
| 4 | lost to a concurrent change |

**What scripts rely on.** `slipway model register NAME PATH --metric k=v --param k=v --alias a -o json` prints
`{"model", "version", "digest"}`; `slipway model show REF -o json` prints the record; `slipway history NAME@alias -o json`
prints a list of `{"version", "previous", "at", "by", "reason"}`, newest first; `slipway status -o json` prints a list with one
item for each chain: `modelDeployment`, `modelBuilds` and `appBuild`, or `featureView`, each with its `status` as the cluster has it.

**What it writes to a cluster.** `build` sets the annotation `slipway.dev/rebuild`, `approve` sets `slipway.dev/approve` or `slipway.dev/refuse` and the
commands of `rollout` set `slipway.dev/rollout`, each by server-side apply with a field manager of its own
(`slipway-cli-build`, `slipway-cli-approve`, `slipway-cli-rollout`), so that Git and the cluster stay equal. `rollback` moves
the alias in the registry; only where a ModelDeployment names a version does it change `spec.model.version` (field manager
`slipway-cli-rollback`), and says so.
"""


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for section in dict.fromkeys(entry.section for entry in COMMANDS.values()):
        parts.append(f"\n## {section}\n")
        for name, entry in COMMANDS.items():
            if entry.section == section:
                parts += [f"\n### slipway {path}\n\n```\n{text}\n```\n" for path, text in _helps(name, load(name, entry))]
    return "".join(parts)


def _helps(path: str, command: Any) -> Iterator[tuple[str, str]]:
    """The help of a command, or of each command of a group, without the options that all have."""
    subcommands = getattr(command, "commands", None)
    if subcommands:
        for name, subcommand in subcommands.items():
            yield from _helps(f"{path} {name}", subcommand)
        return
    if SHARED.keys() <= {param.name for param in command.params}:
        for param in command.params:
            param.hidden = param.hidden or param.name in SHARED
    context = type(typer.main.get_command(app).make_context("slipway", ["version"]))
    ctx = context(command, info_name=f"slipway {path}", terminal_width=WIDTH, max_content_width=WIDTH)
    ctx.help_option_names = []
    yield path, "\n".join(line.rstrip() for line in command.get_help(ctx).splitlines())


if __name__ == "__main__":
    sys.stdout.write(page())
