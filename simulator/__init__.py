"""A Claude API to test against: a real HTTP server on 127.0.0.1, truthful to the API, deterministic, scriptable.

Start it with `python -m simulator [--host 127.0.0.1] [--port 0] [--port-file F] [--data-dir D]
[--batch-seconds 2] [--events-per-second N] [--speed 1] [--words]`, or from Python with
`simulator.client.running_simulator()`, which gives a `Simulator` to script it with.
Any API key is accepted that is not empty; the customary one is `sk-ant-simulator`.

Control API (JSON)
------------------
    GET    /_simulator/health                   {"status": "ready", "pid": …}
    POST   /_simulator/faults                   one rule or a list of rules -> {"ids": [...]}
    GET    /_simulator/faults                   the rules, each with how often it acted
    DELETE /_simulator/faults[/{id}]            forget all rules, or one
    POST   /_simulator/replies                  as faults, but a rule has a `reply` in place of an `action`
    GET, DELETE /_simulator/replies[/{id}]
    GET    /_simulator/requests                 every API call: `record.Exchange`; ?operation=… &path=… &after=<number>;
                                                also when a client left (`disconnected_at`), and calls still open;
                                                `usage` is what it is charged for, read or not
    GET    /_simulator/batches                  every batch made, that is, paid for: `record.BatchRecord`
    POST   /_simulator/batches/{id}/end         the batch ends now, as if its time had come
    GET    /_simulator/summary                  calls by operation and status, open calls, batches, requests, tokens
    POST   /_simulator/clock                    {"advance_seconds": 86400} and/or {"speed": 0}  (0 freezes the clock)
    POST   /_simulator/settings                 {"batch_seconds", "cancel_seconds", "events_per_second"}
    POST   /_simulator/reset                    forgets rules, calls and batches; settings and clock as at the start

Rules
-----
    {"match": {...}, "times": null, "skip": 0, "share": 1.0, "seed": 0, "action": {"type": ...}}

Of the rules that match a call, the first of each action type acts, in the order in which they were posted.
`skip`: matching calls left alone first. `times`: how often the rule acts at most. `share`: the part of the matching
calls it acts on, picked by `seed`, the same in each run.

`match`, all that is given must hold:
    operation   messages, count_tokens, models.list, models.retrieve, batches.create, batches.retrieve, batches.list,
                batches.cancel, batches.delete, batches.results
    method, path    the HTTP method; a regular expression for the whole path
    headers     {"name": regular expression found in the value}; the key is not seen here, use `key`
    key         the API key
    model       the model asked for              (calls of messages and count_tokens; requests in batches)
    prompt      a part of the system prompt or of the messages, as text                          (the same)
    stream      true or false                                                             (calls of messages)
    custom_id   a regular expression for the whole custom_id                            (requests in batches)

`action` of calls:
    refuse      status=529, error_type=<that of the status>, message, details=null, headers={}, body=null (raw text)
                an answer in place of the real one; nothing is carried out. Or cause=<one of those below>
    lose        how="reset" | "close" | "status", status=500
                the request is carried out (the batch is made), and then its reply is lost
    delay       seconds: before the headers
    pace        event_seconds=0: between the events of a stream (lines of results);
                chunk_bytes=0, chunk_seconds=0: dribble the body in pieces of that size
    break       how, after_events=null (lines, in results), after_bytes=null (of the body); neither: before the headers
                how: "reset"        TCP reset, 0.1 s after what was sent before it
                     "close"        the connection is closed in the middle of the body
                     "end"          the body ends early, but cleanly
                     "stall"        silence for `seconds` (null: until the client leaves), with pings every
                                    `ping_seconds` if given; then the rest follows
                     "error_event"  an `error` event of `error_type`="overloaded_error" or `cause`, then a clean end
                     "bad_json"     an event (line) of broken JSON in place of one; then the rest follows
                     "cut_utf8"     the same, with a character cut in two
                     "not_sse"      the same, with a piece of HTML
    hide        seconds, since="created" | "ended": batches younger than that answer 404 to retrieve and results, and
                are left out of lists (match `operation` to pick which); in seconds of the simulator's clock
    batch_time  seconds: how long a batch made by a matching batches.create takes
`action` of requests in batches; decided when the batch is made, for each request by its own `messages`:
    result      outcome="errored" | "expired" | "canceled" | "max_tokens" | "refusal", error_type, message,
                details=null; or cause=<one of those below>
                `times` counts batches for each request, so that with times=1 the next wave of it succeeds

`cause` of refuse, break and result, what an account meets and how the API says it:
    no_credit              400 invalid_request_error "Your credit balance is too low …"
    no_credit_402          402 billing_error, the same
    own_spend_limit        400 invalid_request_error "You have reached your specified API usage limits …"
    workspace_spend_limit  the same of a workspace
    tier_spend_limit       429 enforced_spend_limit_reached     contract_spend_limit   429 contract_spend_limit_reached
    organization_on_hold, cmek_key_disabled, cmek_key_unreachable      400 with the `error_code` of that name
    human_review_disabled  400 workspace_human_review_disabled  ramp_limit             429 ramp_limit_exceeded
    key_refused            401 authentication_error             no_permission          403 permission_error
    unknown_refusal        400 invalid_request_error, in words that nobody knows

Replies
-------
    {"match": {...}, "times", "skip", "share", "seed", "reply": {...}}      the first that matches a message is used
`reply`: text, words (length, one text delta a word), thinking (text), tool (name of a tool of the request), input (of
the tool), citations (bool), pings (a ping every n events), unknown_events (bool: event and delta types not known yet),
stop_reason, stop_details ({"type": "refusal", category, explanation}), events_per_second, first_event_seconds, stamped
(bool: each delta is the time.monotonic() of its writing).
Without a script, the answer is made of the words of the prompt; thinking, tools, citations and JSON schemas are
answered when the request asks for them. Started with `--words`, it has rules for words in prompts, so that each kind
of end can be played by hand: `words.py` says which.
"""
