import io
import multiprocessing

import pytest
from rich.console import Console

from ablab.engine import events
from ablab.engine.events import Bars, Lines, Message, Sender, Silent, clock, replay, shown, working


class Log(Silent):
    def __init__(self) -> None:
        self.calls: list[Message] = []

    def begin(self, name: str, total: int) -> None:
        self.calls.append(("begin", name, total))

    def advance(self, done: int, values: events.Values) -> None:
        self.calls.append(("advance", done, dict(values)))

    def end(self) -> None:
        self.calls.append(("end",))

    def say(self, text: str) -> None:
        self.calls.append(("say", text))


def play(target: events.Events) -> None:
    target.begin("train", 4)
    target.advance(1, {"loss": 0.5})
    target.begin("validate", 2)
    target.end()
    target.say("half way")
    target.end()


def test_a_pipe_gives_the_same_calls() -> None:
    receiver, sender = multiprocessing.Pipe(duplex=False)
    play(Sender(sender.send, every=0))
    sender.close()
    here, there = Log(), Log()
    play(here)
    while receiver.poll():
        try:
            replay(receiver.recv(), there)
        except EOFError:
            break
    assert there.calls == here.calls
    assert len(here.calls) == 6


def test_a_sender_holds_back_all_but_the_first_advance_of_its_interval() -> None:
    sent: list[Message] = []
    sender = Sender(sent.append, every=1000)
    sender.begin("train", 3)
    for done in (1, 2, 3):
        sender.advance(done, {})
    sender.end()
    assert sent == [("begin", "train", 3), ("advance", 1, {}), ("end",)]


def test_what_is_no_message_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a message of Sender"):
        replay(("row", "x"), Log())


def test_an_error_inside_still_ends_the_work() -> None:
    log = Log()
    with pytest.raises(ZeroDivisionError), working(log, "train", 3):
        raise ZeroDivisionError
    assert log.calls == [("begin", "train", 3), ("end",)]


def test_lines_say_how_far_and_how_long(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(events.time, "monotonic", lambda: now[0])
    out = io.StringIO()
    lines = Lines(every=10, stream=out).row("baseline")
    lines.begin("train", 100)
    now[0] += 5
    lines.advance(5, {})
    now[0] += 25
    lines.advance(30, {"loss": 1.23456})
    now[0] += 70
    lines.begin("validate", 1)
    lines.end()
    lines.end()
    assert out.getvalue().splitlines() == [
        "baseline: train 30/100, 1:10 left, loss 1.235",
        "baseline: train: 1:40",
    ]


def test_work_that_goes_on_is_timed_from_where_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(events.time, "monotonic", lambda: now[0])
    out = io.StringIO()
    lines = Lines(every=10, stream=out)
    lines.begin("train", 900)
    lines.advance(800, {})
    now[0] += 20
    lines.advance(810, {})
    assert out.getvalue() == "train 810/900, 3:00 left\n"


def test_bars_show_several_rows_and_end_with_the_last() -> None:
    out = io.StringIO()
    bars = Bars(Console(file=out, force_terminal=True, width=160))
    first, second = bars.row("arm [a]"), bars.row("arm b")
    first.begin("train", 4)
    second.begin("train", 8)
    second.begin("validate", 2)
    second.advance(1, {"loss": 0.25})
    bars._progress.refresh()
    assert bars._progress.live.is_started
    seen = out.getvalue()
    for text in ("arm [a]: train", "arm b: train", "arm b: validate", "0/8", "1/2", "loss 0.25"):
        assert text in seen
    first.say("a [note]")
    assert "arm [a]: a [note]" in out.getvalue()
    second.close()
    assert [task.description for task in bars._progress.tasks] == ["arm [a]: train"]
    first.end()
    assert not bars._progress.live.is_started


def test_where_there_is_no_terminal_lines_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with shown() as display:
        play(display.row("x"))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == ["x: half way", "x: train: 0:00"]


def test_clock() -> None:
    assert [clock(s) for s in (0, 59.6, 75.3, 3600, 3671)] == ["0:00", "1:00", "1:15", "1:00:00", "1:01:11"]
