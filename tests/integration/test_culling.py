"""Kernels that idle or last too long get notice and are stopped, on the real chain with short limits."""

import time

import requests

from tests.gateways import database_of, limits, set_limits
from tests.processes import service_process
from tests.support import bearer, wait_for

#: As tests/conftest.py sets it.
INTERVAL = 4.0


def shown(alice, kernel):
    """Return what the gateway tells of a kernel beside Enterprise Gateway's model; None when it has ended."""
    found = [one["remote_kernel"] for one in alice.kernels() if one["id"] == kernel.kernel_id]
    return found[0] if found else None


def end_reason(platform, alice, kernel):
    answer = requests.get(
        f"{platform.gateway}/user/alice/api/ended-kernels", headers=bearer(alice.token()[0]), timeout=30
    )
    return next((one["reason"] for one in answer.json() if one["id"] == kernel.kernel_id), None)


def test_an_idle_kernel_gets_notice_that_work_takes_back_and_is_stopped_in_the_end(platform, alice):
    """Its notebook stays open all the time: connected but idle counts as idle."""
    with limits(platform, "alice", idle_timeout=20):
        kernel = alice.start("python_yarn")
        kernel.wait_idle()
        notice = wait_for(lambda: shown(alice, kernel)["stop_at"], 30, every=0.3, what="the notice")
        told = shown(alice, kernel)
        assert told["idle_timeout"] == 20
        assert told["stop_reason"].endswith("; the limit is 20 s (set for you)")
        assert told["stop_reason"].startswith("idle since ")
        assert kernel.run("print(1)").strip() == "1"
        wait_for(lambda: shown(alice, kernel)["stop_at"] is None, 30, every=0.3, what="the withdrawal")
        assert shown(alice, kernel)["stop_reason"] == ""
        again = wait_for(lambda: shown(alice, kernel)["stop_at"], 30, every=0.3, what="the second notice")
        assert again > notice
        wait_for(lambda: shown(alice, kernel) is None, 40, every=0.5, what="the stop")
    reason = end_reason(platform, alice, kernel)
    assert reason.startswith("stopped: idle for ")
    assert reason.endswith(", the limit is 20 s (set for you)")
    wait_for(lambda: not platform.running_applications(kernel.kernel_id), 20)
    kernel.close()


def test_a_busy_kernel_is_not_idle_and_ends_with_its_lifetime(platform, alice):
    """Busy without anybody connected; also after Enterprise Gateway died and does not know any more what it does.

    What it answers beside its cell does not make it idle.
    """
    with limits(platform, "alice", idle_timeout=8):
        kernel = alice.start("python_yarn")
        kernel.collect(kernel.send("import time; time.sleep(900)"), started=True)
        wait_for_busy(alice, kernel)
        kernel.ask_beside("kernel_info_request")
        kernel.close()
        time.sleep(12 + INTERVAL)
        assert shown(alice, kernel)["stop_at"] is None
        assert shown(alice, kernel)["idle_since"] is None
        service_process(platform, "jeg_plugin").kill()
        wait_for(lambda: back(alice, kernel), 60, what="the kernel's return")
        time.sleep(12 + INTERVAL)
        assert shown(alice, kernel)["stop_at"] is None
        set_limits(database_of(platform), "alice", lifetime=30)
        told = wait_for(lambda: shown(alice, kernel)["stop_reason"], 30, every=0.3, what="the notice")
        assert told.startswith("runs since ")
        wait_for(lambda: shown(alice, kernel) is None, 40, every=0.5, what="the stop")
        set_limits(database_of(platform), "alice", lifetime=None)
    reason = end_reason(platform, alice, kernel)
    assert reason.startswith("stopped: ran for ")
    assert "the limit is 30 s" in reason
    wait_for(lambda: not platform.running_applications(kernel.kernel_id), 20)


def wait_for_busy(alice, kernel):
    wait_for(lambda: shown(alice, kernel)["idle_since"] is None, 30, every=0.3, what="the cell's beginning")


def back(alice, kernel):
    try:
        return shown(alice, kernel)
    except requests.RequestException:
        return None


def test_a_raised_limit_takes_the_notice_back_and_an_interrupted_kernel_is_idle_again(platform, alice):
    with limits(platform, "alice", idle_timeout=10):
        kernel = alice.start("python_yarn")
        kernel.collect(kernel.send("import time; time.sleep(300)"), started=True)
        wait_for_busy(alice, kernel)
        kernel.interrupt()
        wait_for(lambda: shown(alice, kernel)["idle_since"], 30, every=0.3, what="idle after the interrupt")
        wait_for(lambda: shown(alice, kernel)["stop_at"], 30, every=0.3, what="the notice")
        set_limits(database_of(platform), "alice", idle_timeout=3600)
        wait_for(lambda: shown(alice, kernel)["stop_at"] is None, 30, every=0.3, what="the withdrawal")
        time.sleep(10)
        assert kernel.run("print(2)").strip() == "2"
        kernel.delete()


def test_a_kernel_that_nobody_ever_used_is_idle_too_also_for_a_restarted_enterprise_gateway(platform, alice):
    kernel = alice.start("python_yarn")
    with limits(platform, "alice", idle_timeout=14):
        wait_for(lambda: shown(alice, kernel)["stop_at"], 30, every=0.3, what="the notice")
        set_limits(database_of(platform), "alice", idle_timeout=3600)
        service_process(platform, "jeg_plugin").kill()
        wait_for(lambda: back(alice, kernel), 60, what="the kernel's return")
        set_limits(database_of(platform), "alice", idle_timeout=14)
        wait_for(lambda: shown(alice, kernel) is None, 90, every=0.5, what="the stop")
    assert end_reason(platform, alice, kernel).startswith("stopped: idle for ")
