"""Hold a part of your own to the contract of its slot, in one line.

import pytest
from ablab import testing
import my_parts  # registers activation/tanhexp

@pytest.mark.parametrize("check", testing.checks("activation", "tanhexp"), ids=str)
def test_tanhexp(check):
    check()
"""

from ablab.testing.examination import Examination, Finding, examine
from ablab.testing.parts import check_part, checks

__all__ = ["Examination", "Finding", "check_part", "checks", "examine"]
