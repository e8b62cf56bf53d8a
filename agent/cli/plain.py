"""typer commands whose parameters are texts and switches, taken as they were typed.

Since 0.29 typer loads pydantic to convert parameters, which costs more than all the rest of
a `put`. Texts need no conversion: the commands turn the few numbers and paths into values
themselves. In other versions of typer the attribute set here is not looked at.
"""

from typing import Any

from typer.core import TyperCommand, TyperGroup


class _AsTyped:
    """Stands where typer would put its converter."""

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """The texts themselves."""
        del ctx
        return () if value is None and (param.multiple or param.nargs == -1) else value


AS_TYPED = _AsTyped()


class PlainCommand(TyperCommand):
    """A command of texts and switches."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The parameters, `--help` included, without typer's converters."""
        return _unconverted(super().get_params(ctx))


class PlainGroup(TyperGroup):
    """The same for the options before the command."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The parameters, `--help` included, without typer's converters."""
        return _unconverted(super().get_params(ctx))


def _unconverted(parameters: list[Any]) -> list[Any]:
    for parameter in parameters:
        vars(parameter)["_runtime_param"] = AS_TYPED
    return parameters
