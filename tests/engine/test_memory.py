import subprocess
import sys

import pytest
import torch
from tiny import recipe

from ablab.engine.memory import explained
from ablab.errors import Diverged, RunError, TooLarge


def test_a_real_allocation_that_fails_says_what_to_lower() -> None:
    words = r"batches of 8 images of 32 x 32: lower train\.batch and raise train\.accumulate.*memory"
    with pytest.raises(RunError, match=words), explained(recipe().train):
        torch.empty(1 << 60, dtype=torch.uint8)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.\nmore"),
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."),
    ],
)
def test_every_way_to_say_it(error: Exception) -> None:
    with pytest.raises(RunError, match=r"out of memory with batches of 8 .*\([^\n]*\)$"), explained(recipe().train):
        raise error


def test_only_a_card_is_too_small_for_a_batch() -> None:
    with pytest.raises(TooLarge), explained(recipe().train):
        raise torch.OutOfMemoryError("CUDA out of memory.")
    with pytest.raises(RunError) as caught, explained(recipe().train):
        raise MemoryError
    assert not isinstance(caught.value, TooLarge)


def test_a_killed_loader_process_is_told_apart() -> None:
    said = "DataLoader worker (pid 7) is killed by signal: Killed. "
    with pytest.raises(RunError, match=r"loader process was killed.*lower train\.workers"), explained(recipe().train):
        raise RuntimeError(said)


@pytest.mark.parametrize("error", [RuntimeError("shapes do not match"), Diverged("loss nan"), KeyError("x")])
def test_other_errors_come_through(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, explained(recipe().train):
        raise error
    assert caught.value is error


FAULTS = """
import resource, torch
from ablab.engine.memory import keep_freed

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(12_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

keep_freed()
print(*(faults() for _ in range(60)))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator, which is Linux's")
def test_memory_that_a_step_freed_serves_the_next_without_page_faults():
    shown = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True).stdout
    counts = list(map(int, shown.split()))
    assert counts[0] > 10  # 48 MB in pages of 2 MB, if not of 4 kB
    assert sum(counts[-20:]) < counts[0]  # after some rounds; one that lies badly may still fault
