"""The door of the room: sorted, complete, and what it names is there."""

from ablab import stats


def test_the_door_is_sorted_and_complete():
    names = stats.__all__
    assert names == sorted(names, key=lambda name: (not name.isupper(), name.islower(), name))
    assert all(hasattr(stats, name) for name in names)
