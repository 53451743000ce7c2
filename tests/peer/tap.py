"""Test results as TAP lines: ok and skip report a case, done prints the plan and ends the script.

A script that ends without done has no plan, which the driver reports as an error.
"""
import sys

_cases = 0
_failures = 0


def _line(result, name, directive=""):
    global _cases
    _cases += 1
    clean = " ".join(str(name).split()).replace("#", "")
    print(f"{result} {_cases} - {clean}{directive}", flush=True)


def ok(condition, name, detail=""):
    """One case; `detail` is shown where it fails.  Returns the condition."""
    global _failures
    _line("ok" if condition else "not ok", name)
    if not condition:
        _failures += 1
        for line in str(detail).splitlines():
            note(line)
    return bool(condition)


def note(text):
    """A line for whoever reads the log."""
    print(f"# {text}", flush=True)


def skip(name, why):
    """One case that cannot run here."""
    _line("ok", name, f" # SKIP {why}")


def done():
    """Print the plan; exit with 0 only if there were cases and none failed."""
    print(f"1..{_cases}", flush=True)
    sys.exit(1 if _failures or not _cases else 0)
