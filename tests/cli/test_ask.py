"""`titrate ask`: one question, and who wrote which part of the answer."""

from __future__ import annotations

from harness.cli.main import main

SPEC = """\
name: asks
model: zoo/base
task: {name: micro_gsm8k, limit: 2}
intervention:
  kind: oracle
  model: zoo/oracle
  length: 4
  step: 4
  trigger: {kind: every_n, n: 2}
sampling: {max_new_tokens: 24}
"""


def test_the_oracles_words_are_told_from_the_models(tmp_path, capsys):
    (tmp_path / "spec.yaml").write_text(SPEC, "utf-8")
    asked = ["ask", str(tmp_path / "spec.yaml"), "--prompt", "Ben has 11 cups. Ben loses 2."]
    assert main(asked) == 0
    out = capsys.readouterr().out
    assert out.startswith("\u00ab")
    assert "of them the oracle's in" in out
    assert out.endswith("; asks\n")


def test_a_spec_that_asks_nobody_is_refused(tmp_path, capsys):
    (tmp_path / "spec.yaml").write_text(SPEC.replace("length: 4", "length: 0"), "utf-8")
    assert main(["ask", str(tmp_path / "spec.yaml"), "--prompt", "x"]) == 2
    assert "asks no other model" in capsys.readouterr().err
