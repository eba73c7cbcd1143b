"""`swarmproxy completion`: what has a shell complete our commands and flags.

Click makes the script, and answers it: the shell runs us with a variable that asks for completions.
"""

import click
from click.shell_completion import ShellComplete, get_completion_class

from swarmproxy.cli.commands import GoCommand
from swarmproxy.errors import ConfigError

NAME = "swarmproxy"
VARIABLE = "_SWARMPROXY_COMPLETE"
SHELLS = ("bash", "zsh", "fish")


def script(command: click.Command, shell: str) -> str:
    """Return what `shell` is to read. Raises ConfigError for a shell that we do not know."""
    found = get_completion_class(shell) if shell in SHELLS else None
    if found is None:
        raise ConfigError(f'unknown shell "{shell}": it should be {", ".join(SHELLS)}')
    # Not the class's own: that of bash asks which version is installed here, where nobody may run it.
    return ShellComplete.source(found(command, {}, NAME, VARIABLE))


@click.pass_context
def _completion(ctx: click.Context, /, args: tuple[str, ...]) -> None:
    """Print the script for one shell."""
    if len(args) != 1:
        raise ConfigError(f"the `completion` command takes one argument: {', '.join(SHELLS)}")
    click.echo(script(ctx.find_root().command, args[0]), nl=False)


completion = GoCommand(
    "completion",
    discovery=False,
    operands="|".join(SHELLS),
    callback=_completion,
    help="Print what has a shell complete commands and flags",
    notes=(
        ("bash", "source <(swarmproxy completion bash)"),
        ("zsh", "source <(swarmproxy completion zsh), after compinit"),
        ("fish", "swarmproxy completion fish | source"),
    ),
)
