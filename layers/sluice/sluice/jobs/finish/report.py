"""``report.html``: one page for a person, with all that it needs inside. No prompt and no answer is in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from html import escape
from pathlib import Path
from string import Template

from sluice.jobs.finish.plots import Bar, column_bars, length_buckets, row_bars, share_bar
from sluice.jobs.finish.summary import JobSummary
from sluice.jobs.incomplete import SCHEMA_MISMATCH, incomplete_by_status, ranked_incomplete
from sluice.jobs.model import JobStatus
from sluice.jobs.notices.quantities import compact, count, dollars, duration, share
from sluice.jobs.notices.text import advice_for, ranked, retry_hint
from sluice.timestamps import rfc3339

_STATUS = {
    JobStatus.FINISHED: ("Finished", "answered"),
    JobStatus.FINISHED_WITH_ERRORS: ("Finished with errors", "rejected"),
    JobStatus.CANCELLED: ("Cancelled", "rejected"),
}
_MODELS, _REASONS = 12, 12


def write_report(account: JobSummary) -> bytes:
    """Write the page."""
    job = account.job
    status, style = _STATUS[account.status]
    when = f"Dropped {_moment(job.received_at)}, done {_moment(account.finished_at)}"
    page = _template().substitute(
        title=escape(f"{_name(account)}: {status.lower()}"),
        status=escape(status),
        style=style,
        name=escape(_name(account)),
        when=escape(f"{when}, {duration(account.seconds)} later"),
        cards="\n".join(_cards(account)),
        footer=f"Job <code>{escape(job.job_id)}</code> of <code>s3://{escape(job.upload.bucket)}/{escape(job.upload.key)}</code>",
    )
    return page.encode()


@cache
def _template() -> Template:
    return Template(Path(__file__).with_name("report.html").read_text(encoding="utf-8"))


def _cards(account: JobSummary) -> Iterator[str]:
    yield _outcome(account)
    if account.totals.problems:
        yield _card("The counts do not add up", _list(account.totals.problems), "wide alarm")
    if steps := list(_next_steps(account)):
        yield _card("What to do next", _list(steps, raw=True), "wide")
    if account.totals.tally.incomplete:
        yield _card("Answers that are not whole", "".join(_incomplete(account)), "wide")
    if account.totals.tally.errors:
        yield _card("Errors", "".join(_errors(account)), "wide")
    if account.manifest.reasons:
        yield _card("Rejected lines", _reasons(account), "")
    yield from _plots(account)
    yield _card("Tokens and cost by model", _models(account), "wide")
    if len(account.totals.waves) > 1:
        yield _card("Waves", _waves(account), "wide")
    if account.notes:
        yield _card("Notes", _list(account.notes), "wide")
    yield _card("Files", _files(account), "wide")


def _card(title: str, body: str, style: str = "") -> str:
    heading = f"<h2>{escape(title)}</h2>" if title else ""
    return f'<section class="card {style}">{heading}{body}</section>'


def _list(sentences: Iterable[str], *, raw: bool = False) -> str:
    return "<ul>" + "".join(f"<li>{each if raw else escape(each)}</li>" for each in sentences) + "</ul>"


def _outcome(account: JobSummary) -> str:
    tally, tokens = account.totals.tally, account.tokens
    read = tokens.input + tokens.cache_read + tokens.cache_write
    statuses = incomplete_by_status(tally.incomplete)
    bars = [
        Bar("answered", tally.answered, count(tally.answered), "answered"),
        *(Bar(status.replace("_", " "), number, count(number), "incomplete") for status, number in statuses.items()),
        Bar("errors", tally.errored, count(tally.errored), "errored"),
        Bar("rejected", tally.rejected, count(tally.rejected), "rejected"),
    ]
    figures = [
        ("Answered", count(tally.answered), f"{share(tally.answered, tally.lines)} of {count(tally.lines, 'line')}"),
        ("Cost", dollars(tally.cost), "estimated"),
        ("Took", duration(account.seconds), _steps(account)),
        ("Tokens", compact(read + tokens.output), f"{compact(read)} read, {compact(tokens.output)} written"),
    ]
    cells = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}<small>{escape(about)}</small></dd></div>"
        for name, value, about in figures
    )
    legend = "".join(f'<li><i class="{bar.style}"></i>{bar.value} {bar.label}</li>' for bar in bars)
    plot = share_bar(bars, "Lines by outcome").replace("<svg ", '<svg preserveAspectRatio="none" ', 1)
    body = f'<dl class="figures">{cells}</dl>'
    return _card("", f'{body}<div class="share">{plot}</div><ul class="legend">{legend}</ul>', "wide")


def _steps(account: JobSummary) -> str:
    run = account.steps["run"]
    return f"{duration(run)} of it at Claude" if account.batch_ids else "nothing was sent"


def _next_steps(account: JobSummary) -> Iterator[str]:
    tally = account.totals.tally
    if tally.errors:
        yield escape(retry_hint(tally.errors)).replace("errors.jsonl", "<code>errors.jsonl</code>", 1)
    if tally.rejected:
        yield (
            "<code>rejected.jsonl</code> says of each rejected line its number, what is wrong, and its text. Correct "
            "them in a file of their own, and drop that."
        )
    if account.status is JobStatus.CANCELLED:
        yield "What was not run when the job was cancelled is in <code>errors.jsonl</code> and costs nothing."


def _incomplete(account: JobSummary) -> Iterator[str]:
    tally = account.totals.tally
    for found, number in ranked_incomplete(tally.incomplete):
        what = f"{count(number, 'answer')} {found.what}"
        yield f'<h3><code>{escape(found.status)}</code> <span class="soft">{escape(what)}</span></h3>'
        yield f"<p>{escape(found.advice)}</p>"
        if found.status == SCHEMA_MISMATCH and tally.misfits:
            yield _list(f"{count(number, 'answer')}: {misfit}" for misfit, number in ranked(tally.misfits))


def _errors(account: JobSummary) -> Iterator[str]:
    errors = sorted(account.totals.tally.errors.items(), key=lambda each: (-each[1], each[0]))
    if len(errors) > 1:
        bars = [Bar(name, number, count(number), "errored") for name, number in errors]
        yield f'<div class="plot">{row_bars(bars, "Errors by type")}</div>'
    for name, number in errors:
        yield f'<h3><code>{escape(name)}</code> <span class="soft">{count(number, "request")}</span></h3>'
        yield f"<p>{escape(advice_for(name))}</p>"
        if examples := account.examples.get(name):
            rows = "".join(
                f"<tr><td><code>{escape(each.custom_id)}</code></td><td>{escape(each.message) or '-'}</td>"
                f'<td class="number">{count(each.count)}</td></tr>'
                for each in examples
            )
            head = '<tr><th>Example</th><th>Claude says</th><th class="number">Requests</th></tr>'
            yield f'<div class="scroll"><table class="examples">{head}{rows}</table></div>'


def _reasons(account: JobSummary) -> str:
    reasons = sorted(account.manifest.reasons.items(), key=lambda each: (-each[1], each[0]))[:_REASONS]
    bars = [Bar(reason, number, count(number), "rejected") for reason, number in reasons]
    tally = account.totals.tally
    said = _list(each for each in (tally.first_rejection, *tally.other_rejections) if each)
    return f'<div class="plot">{row_bars(bars, "Rejected lines by reason")}</div><div class="after">{said}</div>'


def _plots(account: JobSummary) -> Iterator[str]:
    models = sorted(account.totals.tokens.items(), key=lambda each: -each[1].cost)[:_MODELS]
    if any(tokens.cost for _, tokens in models):
        bars = [Bar(model, tokens.cost, dollars(tokens.cost)) for model, tokens in models]
        yield _plot("Cost by model", row_bars(bars, "Cost by model"), "Estimated, at the batch price.")
    histograms = (
        ("Tokens of an answer", length_buckets(account.lengths.output), "answer", "Each column begins with that many."),
        ("Tokens of a prompt", length_buckets(account.lengths.input), "prompt", "Without what came from the cache."),
    )
    for title, buckets, noun, about in histograms:
        if buckets:
            bars = [Bar(label, number, count(number, noun)) for label, number in buckets]
            yield _plot(title, column_bars(bars, title), about)


def _plot(title: str, plot: str, about: str) -> str:
    return _card(title, f'<div class="plot">{plot}</div><p class="soft small">{escape(about)}</p>')


def _models(account: JobSummary) -> str:
    rows = [
        (model, *map(count, (each.input, each.output, each.cache_write, each.cache_read)), dollars(each.cost))
        for model, each in sorted(account.totals.tokens.items())
    ]
    about = f"Costs are estimated, at the batch price, from the price list of {account.prices_date}."
    table = _table(("Model", "Input", "Output", "Cache written", "Cache read", "Cost"), rows)
    return f'{table}<p class="soft small after">{escape(about)}</p>'


def _waves(account: JobSummary) -> str:
    about = '<p class="soft small">What failed for a passing reason is sent again, alone.</p>'
    rows = [
        (f"Wave {number + 1}", *map(count, (wave.batches, wave.requests, wave.succeeded, wave.errored, wave.retried)))
        for number, wave in sorted(account.totals.waves.items())
    ]
    return about + _table(("", "Batches", "Requests", "Answered", "Errors", "Sent again"), rows)


def _table(names: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    head = "".join(f"<th{_number(place)}>{escape(name)}</th>" for place, name in enumerate(names))
    body = "".join(
        "<tr>" + "".join(f"<td{_number(place)}>{escape(cell)}</td>" for place, cell in enumerate(row)) + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'


def _number(place: int) -> str:
    return ' class="number"' if place else ""


def _files(account: JobSummary) -> str:
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td><code>{escape(uri)}</code></td></tr>" for name, uri in account.files.items()
    )
    return f'<div class="scroll"><table>{rows}</table></div>'


def _name(account: JobSummary) -> str:
    return account.job.upload.key.rpartition("/")[2]


def _moment(moment: float) -> str:
    return rfc3339(moment, "seconds").replace("T", " ").replace("Z", " UTC")
