"""Pipelines as Hugging Face's `transformers` has them, on `.vlmz` files.

    python pipeline.py clip.vlmz photo.jpg "a dog" "a cat"
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import vlmz


def pipeline(task: str, model: str) -> Callable[..., Any]:
    """A function that does what `transformers.pipeline(task, model)` does.

    Args:
        task: "image-classification", "zero-shot-image-classification", "image-feature-extraction",
            "visual-question-answering" or "text-generation".
        model: the name of a `.vlmz` file.
    """
    opened = vlmz.open(model)

    def scores(found: Any) -> Any:
        if found and isinstance(found[0], list):
            return [scores(one) for one in found]
        return [{"label": entry.label, "score": entry.score} for entry in found]

    tasks: dict[str, Callable[..., Any]] = {
        "image-classification": lambda images, top_k=5: scores(opened.classify(images, top_k)),
        "zero-shot-image-classification": lambda images, candidate_labels,
        hypothesis_template="This is a photo of {}.": scores(
            opened.classify(images, labels=candidate_labels, templates=[hypothesis_template])
        ),
        "image-feature-extraction": opened.embed,
        "visual-question-answering": lambda image, question, **options: [
            {"answer": str(opened.answer(image, question, **options))}
        ],
        "text-generation": lambda text, max_new_tokens=256, **options: [
            {"generated_text": text + opened.answer(None, text, max_tokens=max_new_tokens, **options)}
        ],
    }
    return tasks[task]


if __name__ == "__main__":
    classify = pipeline("zero-shot-image-classification", sys.argv[1])
    for entry in classify(sys.argv[2], candidate_labels=sys.argv[3:]):
        print(f"{entry['score']:.3f}  {entry['label']}")
