from random import Random

import pytest

from harness.tasks.micro_operations import BY_INPUT

OPERATIONS = [operation for operations in BY_INPUT.values() for operation in operations]
VALUES = {"integer": [0, 7, -3], "text": ["", "caB", "toast"], "list": [[], [4, 1, 12]]}
TYPES = {"integer": int, "text": str, "list": list, "truth": bool}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_code_function_and_types_agree(operation):
    constants = operation.draw_constants(Random(0))
    for value in VALUES[operation.takes]:
        result = operation.apply(value, **constants)
        assert type(result) is TYPES[operation.gives]
        assert eval(operation.source("v", constants), {"v": value}) == result


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_every_phrase_names_the_value_and_all_constants(operation):
    for phrase in operation.phrases:
        for blank in ("it", *operation.blanks):
            assert f"{{{blank}}}" in phrase


def test_names_are_unique_and_so_are_keys():
    assert len({operation.name for operation in OPERATIONS}) == len(OPERATIONS)


def test_two_letters_always_differ():
    replace = next(operation for operation in OPERATIONS if operation.name == "replace")
    for seed in range(100):
        constants = replace.draw_constants(Random(seed))
        assert constants["letter"] != constants["other"]
