import pytest

from ablab import surgery
from ablab.config import parse, parse_yaml
from ablab.errors import ConfigError
from ablab.recipe import Edit


def test_the_door_is_sorted():
    assert surgery.__all__ == sorted(surgery.__all__) == ["apply", "insert", "remove", "replace"]


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
    ],
)
def test_python_and_yaml_say_the_same(edit, text):
    assert edit == parse(Edit, parse_yaml(text, "test"), "test")


def test_an_insert_without_a_place_is_a_mistake():
    with pytest.raises(ConfigError, match="exactly one of 'before' and 'after'"):
        surgery.insert(part="cbam")
    with pytest.raises(ConfigError, match="exactly one of 'before' and 'after'"):
        surgery.insert(part="cbam", before="a", after="b")
