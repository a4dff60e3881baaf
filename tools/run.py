#!/usr/bin/env python3
"""The course's commands, on any system: `python3 tools/run.py help` (Windows: `py tools\\run.py help`).

This file only looks for a Python that is new enough, so it has to be readable by an old one; commands.py does the work.
"""
import os
import subprocess
import sys

NEEDED = (3, 11)
NEW_ENOUGH = "import sys, ensurepip, venv; sys.exit(sys.version_info < (%d, %d))" % NEEDED


def newer_python():
    "A command that starts a Python that is new enough, or None."
    tries = [["python3.%d" % minor] for minor in (13, 12, 11, 14)] + [["py", "-3.%d" % minor] for minor in (13, 12, 11, 14)]
    for command in tries + [["python3"], ["python"]]:
        try:
            with open(os.devnull, "w") as nowhere:
                if subprocess.call(command + ["-c", NEW_ENOUGH], stdout=nowhere, stderr=nowhere) == 0:
                    return command
        except OSError:
            pass
    return None


def main():
    if sys.version_info >= NEEDED:
        sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        from tools import commands
        return commands.main(sys.argv[1:])
    command = newer_python()
    if command is None:
        sys.stderr.write("error: Python %d.%d or newer is needed; this is %s (%s) and no newer one was found.\n"
                         "mend:  install one from https://www.python.org/downloads or your system's packages, then run this again.\n"
                         % (NEEDED + (sys.version.split()[0], sys.executable)))
        return 1
    return subprocess.call(command + [os.path.abspath(__file__)] + sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
