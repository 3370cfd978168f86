"""Who asks: the name that is written down with what somebody does."""

import getpass

from experiments.errors import UsageError


def actor() -> str:
    """The operating system's user. UsageError where it has no name, as in some containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        raise UsageError("the operating system has no name for whoever asks; set the variable USER to yours") from None
