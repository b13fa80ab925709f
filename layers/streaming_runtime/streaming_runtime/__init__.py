"""A runtime client for Lambda's managed Python runtimes that streams.

The handler returns an object with `status`, `headers`, `cookies` and `body`, an iterator of bytes; every chunk of the
body reaches the Runtime API as soon as it is yielded. Anything else that a handler returns is answered whole, as JSON.

    wire            the bytes of the Runtime API's HTTP, without I/O
    connection      one socket
    runtime_api     the calls of the Runtime API
    exchange        the answer to one invocation: whole, streamed or failed
    interruptions   the deadline and SIGTERM
    handlers        finding the handler
    loop            invocation after invocation

Start-up is part of what a cold start costs: the modules import next to nothing, and nothing that they can do without.
"""
