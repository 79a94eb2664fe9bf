"""``python launch.py FILE``: becomes the program that FILE (JSON: argv, environment, cwd) tells of.

A file rather than arguments, because environments hold secrets; and the program's environment is exactly that of
the file. Only the standard library and nothing of this package: run with ``-I -S`` it is there in 20 ms.
"""

import ctypes
import json
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Replace this process by the program."""
    with open(sys.argv[1], encoding="utf-8") as file:
        program = json.load(file)
    # A supervisor that is killed cannot stop anything; the kernel then tells each of its programs (prctl(2)).
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGTERM):
        # A background job of a shell hands on ignored signals; these programs end by them.
        signal.signal(number, signal.SIG_DFL)
    os.chdir(program["cwd"])
    os.umask(0o022)
    # The argument list was written by the demo into a folder that only its owner can read.
    os.execve(program["argv"][0], program["argv"], program["environment"])  # noqa: S606 (see above)


if __name__ == "__main__":
    main()
