"""Sumatra's own process: one entry as JSON in, what became of it as JSON out, whatever goes wrong."""

from __future__ import annotations

import json
import subprocess
import sys

import simkit.provenance.sumatra_entry as script


def answered(folder, entry, *before):
    code = [sys.executable, script.__file__] if not before else [sys.executable, "-c", "\n".join(before)]
    done = subprocess.run(
        code, cwd=folder, input=json.dumps(entry), capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_a_folder_that_is_no_project_is_an_answer_and_no_crash(tmp_path):
    """Sumatra itself may be there or not."""
    (tmp_path / ".smt").mkdir()
    assert "failed" in answered(tmp_path, {"check": True})


def test_what_sumatra_prints_is_no_answer(tmp_path):
    (tmp_path / ".smt").mkdir()
    noisy = (
        "import runpy, sys, types",
        "class Noisy(types.ModuleType):",
        "    def load_project(self, _): print('hello from elsewhere'); raise ValueError('no luck')",
        "sys.modules['sumatra'] = types.ModuleType('sumatra')",
        "sys.modules['sumatra.projects'] = Noisy('sumatra.projects')",
        f"runpy.run_path({script.__file__!r}, run_name='__main__')",
    )
    assert answered(tmp_path, {"check": True}, *noisy) == {"failed": "ValueError: no luck"}


def test_it_imports_nothing_of_simkit(tmp_path):
    listed = f"import runpy, sys; runpy.run_path({script.__file__!r}); print([m for m in sys.modules if 'simkit' in m])"
    done = subprocess.run(
        [sys.executable, "-c", listed], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
