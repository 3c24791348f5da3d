"""What of a spec a server cannot be asked, found out without asking it."""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from urllib.parse import urlsplit

from harness.errors import FieldError
from harness.sampling import registered
from harness.sampling.chosen import SamplingRules
from harness.spec.experiment import EngineSettings, Experiment
from harness.spec.measure import measure_named


def check_settings(settings: EngineSettings) -> None:
    """Raise `FieldError` for an address, a key or a library that is not there."""
    if find_spec("openai") is None:
        raise FieldError(
            "engine.name",
            "served needs openai, which is not installed; pip install 'pytest-titrate[served]'",
        )
    if settings.base_url is None:
        raise FieldError(
            "engine.base_url",
            "missing, and served asks a server; give its address, such as http://127.0.0.1:8000/v1",
        )
    problem = _problem(settings.base_url)
    if problem is not None:
        raise FieldError("engine.base_url", problem)
    name = settings.api_key_env
    if name is not None and not os.environ.get(name):
        raise FieldError(
            "engine.api_key_env",
            f"{name} is not set here; export {name}=..., or leave it out for a server without keys",
        )


def check_experiment(experiment: Experiment) -> None:
    """Raise `FieldError` for what a server cannot do, or would do otherwise than we define it."""
    road = experiment.engine.road
    measure = measure_named(experiment.measure)
    if measure.run is not None:
        raise FieldError(
            "measure",
            f"{experiment.measure} reads a model from inside, which served cannot; use another "
            "engine.name",
        )
    if measure.scores and road != "tokens":
        raise FieldError(
            "measure",
            f"{experiment.measure} needs log-probabilities of given tokens, which road {road} does "
            "not bring back; use engine.road: tokens",
        )
    if road == "chat" and experiment.prompt.style == "completion":
        raise FieldError(
            "prompt.style",
            "completion is bare text, and road chat exchanges messages; use assisted, or "
            "engine.road: text",
        )
    if road == "chat" and experiment.prompt.pairs is not None:
        raise FieldError(
            "prompt.pairs",
            "is made of token ids, and road chat exchanges messages; use engine.road: tokens",
        )
    found = unmapped(SamplingRules(**experiment.sampling.rules), road)
    if found is not None:
        rule, problem = found
        raise FieldError(f"sampling.{rule}", problem)


def unmapped(rules: SamplingRules, road: str) -> tuple[str, str] | None:
    """A rule that a server does not have exactly as we define it, and why; None without one."""
    if not rules.random:  # what keeps the best token changes nothing, and is not sent
        other = next((rule.name for rule in rules.acting), None)
    else:
        other = next((rule.name for rule in rules.acting if road not in rule.on_servers), None)
    if other is not None:
        able = ", ".join(sorted(rule.name for rule in registered() if road in rule.on_servers))
        return other, (
            f"{json.dumps(rules[other])} is not a rule of servers on road {road}, which have "
            f"{able}; leave it out, or use another engine.name"
        )
    if "min_p" in rules and "top_p" in rules and rules.random:
        return "min_p", (
            f"{json.dumps(rules['min_p'])} beside top_p: a server cuts by min_p before it adds up "
            "top_p's mass, and we cut after; leave one of them out"
        )
    return None


def _problem(url: str) -> str | None:
    """What is wrong with an address; it is not repeated where it may hold a key."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        return f"is not an address: {error}; write it as http://127.0.0.1:8000/v1"
    if parts.username or parts.password or parts.query or parts.fragment:
        return (
            "holds a user, a query or a fragment, and addresses stand in reports; give the key by "
            "engine.api_key_env"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        return f"{url!r} is not an address of a server; write it as http://127.0.0.1:8000/v1"
    return None
