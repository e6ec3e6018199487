"""Parts that break a promise on purpose."""

from __future__ import annotations

import pytest

from ablab.errors import ContractError
from ablab.registry import Entry
from ablab.surgery import contract


def assert_breaks_only(entry: Entry, promise: str, words: str) -> None:
    """The contract names one broken promise, and says the words."""
    with pytest.raises(ContractError) as caught:
        contract.check(entry)
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{entry.slot}/{entry.name}: {promise}? No: ")
    assert words in line
