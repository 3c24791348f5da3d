"""Defects of oracle help; each turns its identity red."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from harness.engines.decoding import rounds
from harness.engines.transformers import sight
from harness.engines.transformers.attention import AttentionWatch
from harness.interventions.oracle.description import Consulting
from harness.interventions.oracle.trigger import Moment
from harness.interventions.policy import Draw
from tests.invariants.planted import Defects

DEFECTS = Defects()


@DEFECTS.seen_by("oracle.without_help_the_base_speaks")
def pieces_draw_their_noise_anew(patch):
    drawing = rounds._Sequence.drawing

    def changed(self, draw):
        return replace(drawing(self, draw), draw=self.step)

    patch.setattr(rounds._Sequence, "drawing", changed)


@DEFECTS.seen_by("oracle.without_help_the_base_speaks")
def a_help_without_tokens_is_asked_for(patch):
    patch.setattr(
        "harness.interventions.oracle.description.Oracle.is_neutral",
        property(lambda self: self.budget == 0),
    )
    patch.setattr(Consulting, "_consult", lambda self, _: Draw(None, engine=self.oracle.engine))


@DEFECTS.seen_by("oracle.with_all_help_the_oracle_speaks")
def the_base_speaks_for_the_oracle(patch):
    consult = Consulting._consult
    patch.setattr(
        Consulting, "_consult", lambda self, step: replace(consult(self, step), engine="")
    )


@DEFECTS.seen_by("oracle.its_own_oracle_is_indifferent")
def a_consultation_loses_the_last_token(patch):
    continued = rounds._Sequence._continued

    def changed(self, tokens, engine, **changes):
        request = continued(self, tokens, engine, **changes)
        return replace(request, prompt=request.prompt[:-1]) if engine else request

    patch.setattr(rounds._Sequence, "_continued", changed)


@DEFECTS.seen_by("oracle.accounts_are_kept")
def one_more_than_the_budget(patch):
    traces = Consulting.traces

    def changed(self, tokens):
        found = dict(traces(self, tokens))
        return {**found, "author": tuple(2 * each for each in found["author"])}

    patch.setattr(Consulting, "traces", changed)


@DEFECTS.seen_by("oracle.pieces_told_are_the_pieces_said")
def the_authors_are_exchanged(patch):
    traces = Consulting.traces

    def changed(self, tokens):
        found = dict(traces(self, tokens))
        return {**found, "author": tuple(float(not each) for each in found["author"])}

    patch.setattr(Consulting, "traces", changed)


@DEFECTS.seen_by("oracle.chances_are_those_of_the_seed")
def the_seed_is_not_used(patch):
    chance = Moment.chance
    patch.setattr(Moment, "chance", lambda self, _: chance(self, 0))


@DEFECTS.seen_by("oracle.statistics_are_those_of_the_whole_answer")
def attention_is_made_a_softmax_of_twice(patch):
    of_row = sight._of_row

    def changed(scores):
        weights, own = of_row(scores)
        return torch.stack([weights.softmax(dim=-1), own])

    patch.setattr(sight, "_of_row", changed)


@DEFECTS.seen_by("oracle.statistics_are_those_of_the_whole_answer")
def the_oracle_is_read_for_the_model(patch):
    probe = Consulting._probe
    patch.setattr(
        Consulting,
        "_probe",
        lambda self, *others: replace(probe(self, *others), engines=(self.oracle.engine,)),
    )


@DEFECTS.seen_by("oracle.statistics_are_those_of_the_whole_answer")
def queries_are_turned(patch):
    see = AttentionWatch.see

    def changed(self, query, key, mask, scaling):
        if self.last_only:
            query = query.roll(1, dims=-1)
        see(self, query, key, mask, scaling)

    patch.setattr(AttentionWatch, "see", changed)


@DEFECTS.seen_by("oracle.neutral_in_mixed_batch_equals_baseline")
def a_neutral_dose_asks(patch):
    patch.setattr(
        "harness.interventions.oracle.description.Oracle.is_neutral",
        property(lambda self: False),
    )
    patch.setattr(Consulting, "next", lambda self, step, _: Draw(None, engine="other"))


@pytest.mark.parametrize("name", DEFECTS)
def test_a_planted_defect_is_seen(name, by_name, checker, monkeypatch):
    DEFECTS.check(name, by_name, checker, monkeypatch)
