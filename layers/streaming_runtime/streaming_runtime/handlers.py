"""Finding the handler that a function is configured with, the way Lambda's own client does."""

from __future__ import annotations

import sys
from importlib import import_module

from streaming_runtime.failures import HandlerNotLoaded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    Handler = Callable[[Any, Any], Any]


def import_path(environ: Mapping[str, str], start: list[str]) -> list[str]:
    """`sys.path` as Lambda's own client leaves it: the function first, then the layers, the runtime's packages last.

    `start` is the interpreter's own. With PYTHONPATH set, the layers are its business and only the function is added.
    """
    function = [environ["LAMBDA_TASK_ROOT"]] if environ.get("LAMBDA_TASK_ROOT") else []
    if "PYTHONPATH" in environ:
        return [*function, *start]
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    layers = [f"/opt/python/lib/{version}/site-packages", "/opt/python"]
    return [*function, *layers, *start, "/var/runtime"]


def load_handler(name: str) -> Handler:
    """Imports `package.module.function` (dots or slashes) and returns the function.

    Raises HandlerNotLoaded, under Lambda's own names for what was wrong, for a name without a dot, a module that is
    missing or is no Python, and a module without that function. What the module itself raises passes through.
    """
    module_name, dot, attribute = name.replace("/", ".").rpartition(".")
    if not dot or not module_name:
        raise HandlerNotLoaded(
            "Runtime.MalformedHandlerName", f"the handler {name!r} is not of the form module.function"
        )
    try:
        module = import_module(module_name)
    except ImportError as error:
        raise HandlerNotLoaded(
            "Runtime.ImportModuleError", f"unable to import module {module_name!r}: {error}"
        ) from error
    except SyntaxError as error:
        raise HandlerNotLoaded(
            "Runtime.UserCodeSyntaxError", f"syntax error in module {module_name!r}: {error}"
        ) from error
    handler: Handler | None = getattr(module, attribute, None)
    if not callable(handler):
        raise HandlerNotLoaded("Runtime.HandlerNotFound", f"module {module_name!r} has no function {attribute!r}")
    return handler
