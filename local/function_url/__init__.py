"""A Function URL on this machine: Lambda and its Runtime API for one function, with real response streaming.

It starts copies of the function through the layer's own exec wrapper, one more whenever a request finds none free, up
to a limit; turns HTTP requests into events of payload format 2.0; and passes the answers on as they come.

Faithful on purpose: a client that goes away does *not* stop the function. Lambda goes on to read the answer, and to
bill for it, and so does this host: the function sees no failed write. `stop_on_disconnect` shows what it would see
otherwise. Left out: the 2 MB/s to which Lambda slows an answer down after its first 6 MB.
"""

from local.function_url.configuration import ConfigurationError
from local.function_url.running import running_function_url

__all__ = ["ConfigurationError", "running_function_url"]
