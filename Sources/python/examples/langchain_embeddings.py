"""Embeddings for LangChain: vector stores of texts and pictures in one space.

    python langchain_embeddings.py clip.vlmz "a dog on grass" pictures/*.jpg

LlamaIndex takes the same object through its `LangchainEmbedding`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import vlmz

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings
else:
    try:
        from langchain_core.embeddings import Embeddings
    except ImportError:
        # The methods are all that LangChain asks for.
        Embeddings = object


class VlmzEmbeddings(Embeddings):
    """Texts and pictures as vectors of length 1, by a model that embeds both, such as CLIP.

    Args:
        path: the name of a `.vlmz` file.
    """

    def __init__(self, path: str) -> None:
        self.model = vlmz.open(path)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Vectors of texts."""
        return self.model.embed(texts=texts).tolist() if texts else []

    def embed_query(self, text: str) -> list[float]:
        """The vector of one text."""
        return self.model.embed(texts=text).tolist()

    def embed_image(self, uris: list[str]) -> list[list[float]]:
        """Vectors of picture files, as `langchain_experimental`'s OpenCLIPEmbeddings has it."""
        return self.model.embed(uris).tolist() if uris else []


if __name__ == "__main__":
    embeddings = VlmzEmbeddings(sys.argv[1])
    query = embeddings.embed_query(sys.argv[2])
    rows = zip(embeddings.embed_image(sys.argv[3:]), sys.argv[3:])
    ranked = sorted(((sum(a * b for a, b in zip(query, row)), name) for row, name in rows), reverse=True)
    for similarity, name in ranked:
        print(f"{similarity:.3f}  {name}")
