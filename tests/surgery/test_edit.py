import pytest

from ablab import surgery
from ablab.config import parse, parse_yaml
from ablab.errors import ConfigError
from ablab.recipe import Edit


def test_the_door_is_sorted():
    assert surgery.__all__ == sorted(surgery.__all__) == ["apply", "convert", "insert", "remove", "replace", "wrap"]


@pytest.mark.parametrize(
    ("edit", "text"),
    [
        (surgery.replace(of="silu", part="frelu"), "{op: replace, of: silu, part: frelu}"),
        (
            surgery.insert(after="backbone.out", part="cbam", expect=3, kernel_size=5),
            "{op: insert, after: backbone.out, part: cbam, expect: 3, args: {kernel_size: 5}}",
        ),
        (surgery.insert(before="head", part="se"), "{op: insert, before: head, part: se}"),
        (surgery.remove(of="dropout", within="neck"), "{op: remove, of: dropout, within: neck}"),
        (surgery.insert(branch="Bottleneck", part="se"), "{op: insert, branch: Bottleneck, part: se}"),
        (surgery.wrap(of="Bottleneck", part="residual"), "{op: wrap, of: Bottleneck, part: residual}"),
        (
            surgery.convert(of="Conv2d", part="repvgg", but=["stem", "neck.*"]),
            "{op: convert, of: Conv2d, part: repvgg, but: [stem, neck.*]}",
        ),
    ],
)
def test_python_and_yaml_say_the_same(edit, text):
    assert edit == parse(Edit, parse_yaml(text, "test"), "test")


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (surgery.replace(of="silu", part="frelu", within="neck"), "replace silu by frelu within neck"),
        (surgery.insert(before="head", part="eca", kernel_size=5), "insert eca(kernel_size=5) before head"),
        (surgery.insert(branch="C3", part="se", but="neck"), "insert se on the branch of C3 but not in neck"),
        (surgery.wrap(of="C3", part="residual", fuse="concat"), "wrap C3 in residual(fuse='concat')"),
        (surgery.convert(of="bn", part="gn"), "convert bn to gn"),
        (surgery.remove(of="dropout"), "remove dropout"),
    ],
)
def test_an_edit_in_words(edit, words):
    assert str(edit) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{op: insert, part: cbam}", "exactly one of 'before', 'after' and 'branch'"),
        ("{op: insert, part: cbam, before: a, after: b}", "exactly one of 'before', 'after' and 'branch'"),
        ("{op: insert, part: cbam, of: a}", "exactly one of 'before', 'after' and 'branch'"),
        ("{op: wrap, part: residual, branch: a}", "wrap wants 'of'"),
        ("{op: convert, of: bn}", "'part' is missing"),
        ("{op: remove, of: bn, part: gn}", "remove takes no 'part'"),
        ("{op: remove, of: bn, args: {p: 1}}", "remove takes no 'args'"),
        ("{op: wrapp, of: bn}", "did you mean 'wrap'"),
        ("{op: remove, of: bn, but: neck}", "but: "),
    ],
)
def test_mistakes_in_the_words(text, words):
    with pytest.raises(ConfigError, match=words):
        parse(Edit, parse_yaml(text, "test"), "test")
