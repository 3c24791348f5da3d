"""Gates as a spec or a command line writes them: text in, a frozen form out, its grid checked."""

from harness.spec.gates.dose_bound import DoseBound
from harness.spec.gates.gate import CLAIMS, PATTERN, Claim, Gate, parse_gate, parse_judged
from harness.spec.gates.monotone import Monotone
from harness.spec.gates.neutral import NEUTRAL_EQUALS_BASELINE, NeutralEqualsBaseline
from harness.spec.gates.no_change import ChangeRule, NoChange, parse_rule
from harness.spec.gates.no_worse import NoWorse
from harness.spec.gates.same_across import SameAcross
from harness.spec.gates.threshold import Threshold
from harness.spec.gates.where import CaseGrid, Selection
from harness.spec.gates.window import WindowExists

__all__ = [
    "CLAIMS",
    "NEUTRAL_EQUALS_BASELINE",
    "PATTERN",
    "CaseGrid",
    "ChangeRule",
    "Claim",
    "DoseBound",
    "Gate",
    "Monotone",
    "NeutralEqualsBaseline",
    "NoChange",
    "NoWorse",
    "SameAcross",
    "Selection",
    "Threshold",
    "WindowExists",
    "parse_gate",
    "parse_judged",
    "parse_rule",
]
