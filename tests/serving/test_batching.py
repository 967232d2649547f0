"""What waits at the same time is segmented together, and everybody gets his own answer."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from semiverse.inference.predictor import Question
from semiverse.serving.batching import Batches, Busy

YARD, STREET = Question("yard", "yard"), Question("street", "street")


class Held:
    """A predictor that starts when it may, and notes its batches."""

    def __init__(self, predictor):
        self.predictor, self.may, self.batches = predictor, threading.Event(), []

    def segment(self, images, questions):
        self.may.wait()
        self.batches.append((len(images), images[0].shape[1:], questions))
        return self.predictor.segment(images, questions)


def noise(*size):
    return torch.randint(0, 256, (3, *size), dtype=torch.uint8)


def test_answers_are_those_of_each_image_alone_and_batches_are_of_one_kind(predictor):
    torch.manual_seed(0)
    held = Held(predictor)
    batches = Batches(held, size=4)
    images = [noise(24, 32), noise(24, 32), noise(16, 16), noise(24, 32), noise(24, 32), noise(16, 16)]
    questions = [YARD, YARD, YARD, STREET, YARD, YARD]
    answers = [batches.ask(image, [question]) for image, question in zip(images, questions, strict=True)]
    held.may.set()
    for image, question, answer in zip(images, questions, answers, strict=True):
        (found,), (expected,) = answer.result(30), predictor.segment([image], [question])[0]
        assert found.labels is expected.labels and (found.mask == expected.mask).float().mean() > 0.99
        torch.testing.assert_close(found.confidence, expected.confidence, atol=1e-4, rtol=0)
    batches.close()
    assert sum(count for count, *_ in held.batches) == 6 and max(count for count, *_ in held.batches) > 1
    assert len(held.batches) < 6


def test_more_than_may_wait_are_refused_and_those_that_wait_are_answered_before_the_end(predictor):
    held = Held(predictor)
    batches = Batches(held, size=1, waiting=3)
    answers, refused = [], 0
    for _ in range(8):
        try:
            answers.append(batches.ask(noise(8, 8), [YARD]))
        except Busy as error:
            refused += 1
            assert "3 requests wait" in str(error)
    assert 3 <= len(answers) <= 5 and refused == 8 - len(answers)
    with ThreadPoolExecutor() as pool:
        ended = pool.submit(batches.close)
        held.may.set()
        ended.result(30)
    assert all(answer.done() and answer.result()[0].mask.shape == (8, 8) for answer in answers)
    with pytest.raises(Busy, match="ends"):
        batches.ask(noise(8, 8), [YARD])


def test_an_error_goes_to_those_who_asked_and_the_next_are_served(predictor):
    batches = Batches(predictor)
    with pytest.raises(ValueError, match="nowhere"):
        batches.ask(noise(8, 8), [Question("nowhere", "nowhere")]).result(30)
    assert batches.ask(noise(8, 8), [YARD]).result(30)[0].mask.shape == (8, 8)
    batches.close()


def test_whoever_has_gone_does_not_disturb_the_others(predictor):
    held = Held(predictor)
    batches = Batches(held)
    gone, stays = batches.ask(noise(8, 8), [YARD]), batches.ask(noise(8, 8), [YARD])
    gone.cancel()
    held.may.set()
    assert stays.result(30)[0].mask.shape == (8, 8)
    batches.close()
