"""Several engines' failures as the one error that a client is told."""

from collections.abc import Sequence

from swarmproxy.errors import EngineError, SwarmError

Failure = tuple[str, SwarmError]  # the node's name, and what went wrong there


def combined(failures: Sequence[Failure], *, asked: int) -> SwarmError:
    """Return one error for `failures`, at least one, of `asked` engines.

    Where all engines failed in the same way it is their own error, so that a client meets what one daemon
    would have said. Otherwise there is a line `<node>: <error>` for each, as in classic. The status is the
    engines' own if they agree on it.
    """
    errors = [error for _, error in failures]
    statuses = {error.status if isinstance(error, EngineError) else 0 for error in errors}
    messages = {str(error) for error in errors}
    if len(failures) == asked and len(messages) == 1:
        text = str(errors[0])
        if len(statuses) == 1:
            return errors[0]
    else:
        text = "\n".join(f"{node}: {error}" for node, error in failures)
    status = statuses.pop() if len(statuses) == 1 else 0
    return EngineError(status, text) if status else SwarmError(text)
