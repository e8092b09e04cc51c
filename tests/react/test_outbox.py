"""The outbox: what waits, what gives way, what has been heard; and that it is read back as it was written."""

from __future__ import annotations

from dataclasses import dataclass, field

from driftline.contracts.reactions import Alert, AlertStatus, content_id
from driftline.react.notify import outbox as module
from driftline.react.notify.notification import Notification
from driftline.react.notify.outbox import Edit, Outbox
from react.making import T0


def told(
    id: str, status: AlertStatus = "open", incident: str = "i", receiver: str = "chat", key: str | None = None
) -> Notification:
    alert = Alert(
        id=id,
        incident=incident,
        model="m",
        version="1",
        cause="data",
        status=status,
        severity="error",
        sentence="s",
        opened=T0,
        time=T0,
    )
    return Notification(id=content_id(receiver, id), receiver=receiver, key=key or incident, alert=alert)


@dataclass
class Kept:
    """An outbox and the fields it is stored in."""

    box: Outbox = field(default_factory=lambda: Outbox(("chat", "pager"), 5))
    fields: dict[str, bytes] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)

    def write(self, edit: Edit) -> None:
        assert not edit.set.keys() & edit.delete
        self.fields |= edit.set
        for name in edit.delete:
            self.fields.pop(name, None)
        self.box.apply(edit)
        self.dropped += [one.alert.id for one in edit.dropped if one.alert]
        again = Outbox(("chat", "pager"), self.box.limit)
        assert again.load(self.fields) == ([], [], [])
        for receiver in ("chat", "pager"):
            assert again.oldest(receiver) == self.box.oldest(receiver)
        assert again.edit().told("i") == self.box.edit().told("i")

    def put(self, *notifications: Notification) -> None:
        edit = self.box.edit()
        edit.put(notifications)
        self.write(edit)

    def settle(self, taken: bool = True, receipt: str | None = None, receiver: str = "chat") -> None:
        """The oldest."""
        edit = self.box.edit()
        name, one = self.box.oldest(receiver)[0]
        edit.settle(name, one, taken, receipt, T0)
        self.write(edit)

    def forget(self, *keys: str) -> None:
        edit = self.box.edit()
        edit.forget(keys, T0)
        self.write(edit)

    def waiting(self, receiver: str = "chat") -> list[str]:
        return [one.alert.id for _, one in self.box.oldest(receiver) if one.alert]


def test_each_receiver_has_a_line_of_its_own() -> None:
    kept = Kept()
    kept.put(told("a"), told("a", receiver="pager"), told("b", incident="j"))
    assert (kept.waiting(), kept.waiting("pager")) == (["a", "b"], ["a"])
    assert kept.box.counts() == {"chat": 2, "pager": 1}
    kept.settle()
    assert (kept.waiting(), kept.waiting("pager")) == (["b"], ["a"])


def test_nothing_changes_before_it_is_applied() -> None:
    kept = Kept()
    kept.put(told("a"))
    edit = kept.box.edit()
    edit.put([told("b")])
    edit.settle(*kept.box.oldest("chat")[0], True, "r", T0)
    edit.forget(["i"], T0)
    assert kept.waiting() == ["a"]
    assert kept.box.receipt("chat", "i") is None


def test_what_is_overtaken_is_not_told() -> None:
    kept = Kept()
    kept.put(told("a"), told("b", "updated"), told("x", "updated", "j"))
    kept.put(told("c", "repeated"), told("d", "updated"))
    assert kept.waiting() == ["a", "x", "d"]
    kept.put(told("e", "resolved"))
    assert kept.waiting() == ["a", "x", "e"], "that it opened and ended is told"
    assert kept.dropped == []


def test_what_is_told_with_another_does_not_overtake_it() -> None:
    kept = Kept()
    kept.put(told("a", "updated"), told("b", "updated", incident="j", key="i"))
    assert kept.waiting() == ["a", "b"]


def test_too_many_give_way_and_that_is_said() -> None:
    """What only repeats gives way first, then what is oldest."""
    kept = Kept()
    kept.put(*(told(str(n), incident=str(n)) for n in range(3)), told("u", "updated", "9"))
    kept.put(told("3", incident="3"), told("4", incident="4"))
    assert (kept.waiting(), kept.dropped) == (["0", "1", "2", "3", "4"], ["u"])
    kept.put(told("5", incident="5"))
    assert (kept.waiting(), kept.dropped) == (["1", "2", "3", "4", "5"], ["u", "0"])
    kept.put(told("p", receiver="pager"))
    assert kept.waiting("pager") == ["p"]


def test_names_go_on_where_they_were() -> None:
    kept = Kept()
    kept.put(told("a"), told("b", incident="j"))
    kept.settle()
    again = Outbox(("chat", "pager"), 5)
    again.load(kept.fields)
    kept.box = again
    kept.put(told("c", incident="k"))
    assert kept.waiting() == ["b", "c"]


def test_a_receipt_is_kept_until_the_incident_is_forgotten() -> None:
    """Mutation: delete what has been heard in Edit.forget although more of it waits; the end is told elsewhere."""
    kept = Kept()
    kept.put(told("a"))
    assert kept.box.edit().told("i") == ["chat"]
    kept.settle(receipt="C1/17.5")
    assert (kept.box.receipt("chat", "i"), kept.box.receipt("pager", "i")) == ("C1/17.5", None)
    kept.put(told("b", "resolved"))
    kept.forget("i")
    assert kept.box.receipt("chat", "i") == "C1/17.5"
    kept.settle()
    assert kept.box.receipt("chat", "i") is None
    assert kept.fields == {}


def test_an_incident_forgotten_before_anybody_heard_of_it() -> None:
    kept = Kept()
    kept.put(told("a"), told("b", "resolved"))
    kept.forget("i", "unheard of")
    kept.settle(receipt="C1/17.5")
    assert kept.box.receipt("chat", "i") == "C1/17.5", "the end is told in the thread of the beginning"
    kept.settle()
    assert kept.fields == {}


def test_what_is_refused_has_not_been_heard() -> None:
    kept = Kept()
    kept.put(told("a"))
    kept.settle(taken=False)
    assert kept.box.edit().told("i") == []
    assert kept.fields == {}


def test_what_was_overtaken_while_it_was_sent_leaves_its_receipt() -> None:
    """Mutation: do nothing in Edit.settle where nothing waits; the thread is lost, and another one is begun."""
    kept = Kept()
    kept.put(told("a", "updated"))
    sent = kept.box.oldest("chat")[0]
    kept.put(told("b", "resolved"))
    edit = kept.box.edit()
    edit.settle(*sent, True, "C1/17.5", T0)
    kept.write(edit)
    assert (kept.waiting(), kept.box.receipt("chat", "i")) == (["b"], "C1/17.5")


def test_what_is_remembered_is_bounded() -> None:
    kept = Kept()
    edit = kept.box.edit()
    for n in range(module.MAX_HEARD + 3):
        edit.settle("", told(str(n), incident=str(n)), True, None, T0 + n)
    assert len(edit.set) == module.MAX_HEARD
    assert edit.told("0") == []
    assert edit.told("3") == ["chat"]


def test_row_46_a_limit_that_has_become_less_holds() -> None:
    """What only brings up to date goes first, then the oldest. Mutation: one gives way in Edit.put; eight wait."""
    kept = Kept(Outbox(("chat", "pager"), 8))
    kept.put(*(told(f"{number}", incident=f"i{number}") for number in range(7)))
    kept.put(told("u", "updated", incident="i9"))
    kept.box.limit = 3
    kept.put(told("8", incident="i8"))
    assert kept.waiting() == ["5", "6", "8"]
    assert kept.dropped == ["u", "0", "1", "2", "3", "4"]


def test_what_cannot_be_read_or_has_no_receiver_is_named() -> None:
    kept = Kept()
    kept.put(told("a"), told("a", receiver="pager"))
    kept.settle()
    kept.put(told("b", incident="j"))
    fields = kept.fields | {
        "n:chat:x": b"{}",
        "n:chat:000000000009": b"{",
        "r:chat:0": b"[]",
        "n:": b"",
        "core": b"?",
    }
    loaded = Outbox(("pager",)).load(fields)
    assert sorted(loaded.broken) == ["n:", "n:chat:000000000009", "n:chat:x", "r:chat:0"]
    assert [one.alert.id for one in loaded.dropped if one.alert] == ["b"]
    assert {name.split(":")[1] for name in loaded.stale} == {"chat"}
    assert len(loaded.stale) == 2
