"""CVE-2019-5736: the interpreter that starts containers cannot be written to through any of its processes."""

import asyncio
import os

from tests.integration.supervisor.harness import Area, eventually, monitor_of

_READ_ONLY = 1  # ST_RDONLY


def test_zygote_and_monitors_run_from_a_read_only_mount() -> None:
    area = Area()

    async def main() -> None:
        supervisor = area.supervisor()
        await supervisor.start()
        try:
            task = await supervisor.spawn(area.spec(["sleep", "60"], name="own"))
            monitor = await monitor_of(task, supervisor)
            for pid in (supervisor.zygote_pid, monitor):
                assert os.statvfs(f"/proc/{pid}/exe").f_flag & _READ_ONLY
            await task.signal(9)
            await task.wait()
            await supervisor.forget("own")
            await eventually(lambda: not area.leftovers())
        finally:
            await supervisor.close()
            area.bury_all()

    try:
        asyncio.run(main())
    finally:
        area.close()
