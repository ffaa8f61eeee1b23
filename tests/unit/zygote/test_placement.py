"""New objects are made side by side after the holes of all pools have been filled."""

import subprocess
import sys
from pathlib import Path

SRC = Path(__file__).resolve().parents[3] / "src"
CODE = """
import sys
sys.path.append(sys.argv[1])
from scow.zygote import placement
sizes = (48, 64, 144, 256, 512)
def make(size, number):
    return [bytes(size - 33) for _ in range(number)]
old = {size: make(size, 300)[::2] for size in sizes}  # every second one leaves a hole
pools = {id(each) >> 14 for one in old.values() for each in one}
old_made = [each for size in sizes for each in make(size, 1)]
assert all(id(each) >> 14 in pools for each in old_made)
placement.fill_holes()
new = [each for size in sizes for each in make(size, 20)]
strays = [each for each in new if id(each) >> 14 in pools]  # where something that the call itself used was before
assert len(strays) <= 2, strays
assert len({id(each) >> 14 for each in new}) <= 2 * len(sizes) + 2
held = sum(each.__sizeof__() for one in placement._fillings for each in one)
assert held < 1 << 20, held
"""


def test_new_objects_lie_together() -> None:
    command = [sys.executable, "-I", "-S", "-c", CODE, str(SRC)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, env={"LC_ALL": "C.UTF-8"})
    assert done.returncode == 0, done.stderr
