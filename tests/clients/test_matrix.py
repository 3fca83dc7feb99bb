"""Real clients with their defaults, each through the same steps: see matrix.py.

With POP3D_CHECK_CLIENTS, which `make check-clients` sets to a directory, all clients are run, and the
results are left there for tests/clients/table. Otherwise the quick ones are.
"""
import json
import os

import pytest

import matrix
from client import ClientFailed
from tls_lab import pki  # fixture, pylint: disable=unused-import

RESULTS = os.environ.get("POP3D_CHECK_CLIENTS")


def identify(value):
    return value.name.replace(" ", "-") if isinstance(value, type) else value


def record(kind, step, mode, result):
    if RESULTS:
        name = f"{kind.__name__}.{step}.{mode}.json"
        with open(os.path.join(RESULTS, name), "w", encoding="utf-8") as file:
            json.dump(result, file)


@pytest.mark.parametrize("kind,step,mode", list(matrix.cases(quick=not RESULTS)), ids=identify)
def test_client(lab, home, pki, kind, step, mode):
    if kind.version() is None:
        record(kind, step, mode, {"cell": "absent"})
        pytest.skip(f"{kind.package} is not installed (./bootstrap clients)")
    case = matrix.Case(kind, lab, home, pki, mode)
    try:
        result = matrix.STEPS[step](case)
    except (AssertionError, ClientFailed) as error:
        record(kind, step, mode, {"cell": "FAILS", "error": str(error)})
        raise
    finally:
        case.stop()
    record(kind, step, mode, result)
