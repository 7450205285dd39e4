"""OpenAI's own client and an agent framework against vlm-serve; run by scripts/test-server."""

import asyncio
import json
import os
import unittest
from typing import Literal

import numpy
import openai
import pydantic
import pydantic_ai
from pydantic_ai import Agent, BinaryContent
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider

from server import Server
from test_server import CAT, CUP, HORSE, data_uri, model, vlm_run

KEY = "a-key-of-the-tests"


def question(text, *paths):
    parts = [{"type": "image_url", "image_url": {"url": data_uri(path)}} for path in paths]
    return [{"role": "user", "content": [*parts, {"type": "text", "text": text}]}]


class ClientTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(
            model("llava"), model("stories"), model("cifar"), model("clip"), "--port", "0",
            "--api-key", KEY)
        cls.client = openai.OpenAI(base_url=cls.server.url + "/v1", api_key=KEY, max_retries=0)

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        assert cls.server.stop() == 0, cls.server.errors

    def test_chat_and_stream_have_one_text(self):
        arguments = {"model": "llava", "messages": question("What is in the picture?", CUP)}
        whole = self.client.chat.completions.create(**arguments)
        expected = vlm_run(model("llava"), CUP, "-p", "What is in the picture?")["text"]
        self.assertEqual(whole.choices[0].message.content, expected)
        stream = self.client.chat.completions.create(
            **arguments, stream=True, stream_options={"include_usage": True})
        chunks = list(stream)
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        self.assertEqual(text, expected)
        # How much had been computed before differs.
        self.assertEqual(chunks[-1].usage.total_tokens, whole.usage.total_tokens)

    def test_stream_helper_of_the_client_gathers_the_answer(self):
        with self.client.chat.completions.stream(
            model="llava", messages=question("Is there an animal?", CAT), logprobs=True,
        ) as stream:
            kinds = {event.type for event in stream}
            final = stream.get_final_completion()
        self.assertIn("content.delta", kinds)
        self.assertEqual(
            final.choices[0].message.content,
            vlm_run(model("llava"), CAT, "-p", "Is there an animal?")["text"])
        self.assertTrue(final.choices[0].logprobs.content)

    def test_responses_and_their_streams_have_one_text(self):
        content = [
            {"type": "input_image", "image_url": data_uri(CUP), "detail": "auto"},
            {"type": "input_text", "text": "What is in the picture?"},
        ]
        arguments = {"model": "llava", "input": [{"role": "user", "content": content}]}
        whole = self.client.responses.create(**arguments)
        expected = vlm_run(model("llava"), CUP, "-p", "What is in the picture?")["text"]
        self.assertEqual(whole.output_text, expected)
        with self.client.responses.stream(**arguments) as stream:
            pieces = [event.delta for event in stream if event.type == "response.output_text.delta"]
            final = stream.get_final_response()
        self.assertEqual("".join(pieces), expected)
        self.assertEqual(final.output_text, expected)
        # How much had been computed before differs.
        self.assertEqual(final.usage.total_tokens, whole.usage.total_tokens)

    def test_responses_are_parsed_as_a_type(self):
        class Seen(pydantic.BaseModel):
            animal: Literal["cat", "cup"]

        found = self.client.responses.parse(
            model="llava", input="What do you see?", text_format=Seen, max_output_tokens=100)
        self.assertIsInstance(found.output_parsed, Seen)

    def test_many_callers_at_once_get_their_own_answers(self):
        async def all_answers():
            async with openai.AsyncOpenAI(base_url=self.server.url + "/v1", api_key=KEY) as client:
                calls = [
                    client.completions.create(
                        model="stories", prompt="Once upon a time", max_tokens=30, temperature=1,
                        seed=seed % 4)
                    for seed in range(12)
                ]
                return [answer.choices[0].text for answer in await asyncio.gather(*calls)]

        texts = asyncio.run(all_answers())
        self.assertEqual(texts[:4] * 3, texts)
        self.assertEqual(len(set(texts)), 4)

    def test_embeddings_are_those_of_the_model(self):
        # The client asks for base64 by itself.
        answer = self.client.embeddings.create(model="clip", input=["a cat", data_uri(CUP)])
        vectors = numpy.array([one.embedding for one in answer.data])
        self.assertEqual(vectors.shape[0], 2)
        self.assertTrue(numpy.allclose(numpy.linalg.norm(vectors, axis=1), 1, atol=1e-4))
        as_numbers = self.client.embeddings.create(
            model="clip", input=["a cat", data_uri(CUP)], encoding_format="float")
        self.assertTrue(numpy.allclose(vectors, [one.embedding for one in as_numbers.data]))

    def test_models_are_listed(self):
        self.assertEqual(
            [one.id for one in self.client.models.list()], ["llava", "stories", "cifar", "clip"])
        self.assertEqual(self.client.models.retrieve("clip").owned_by, "vlmz")

    def test_errors_are_of_the_clients_kinds(self):
        messages = [{"role": "user", "content": "Hi"}]
        with self.assertRaises(openai.NotFoundError) as caught:
            self.client.chat.completions.create(model="gpt-4o", messages=messages)
        self.assertEqual(caught.exception.code, "model_not_found")
        with self.assertRaises(openai.BadRequestError) as caught:
            self.client.chat.completions.create(
                model="llava", messages=messages, presence_penalty=3)
        self.assertEqual(caught.exception.param, "presence_penalty")
        with self.assertRaises(openai.AuthenticationError):
            openai.OpenAI(base_url=self.server.url + "/v1", api_key="no").models.list()

    def test_classes_come_by_the_clients_own_post(self):
        answer = self.client.post(
            "/classify", body={"model": "cifar", "input": data_uri(HORSE)}, cast_to=object)
        self.assertEqual(answer["data"][0]["classes"][0]["label"], "horse")

    # ---- An agent framework ----

    def agent(self):
        provider = OpenAIProvider(base_url=self.server.url + "/v1", api_key=KEY)
        return Agent(OpenAIChatModel("llava", provider=provider))

    def test_agent_sees_a_picture(self):
        with open(CUP, "rb") as file:
            picture = BinaryContent(file.read(), media_type="image/png")
        result = self.agent().run_sync(["What is in the picture?", picture])
        self.assertEqual(
            result.output, vlm_run(model("llava"), CUP, "-p", "What is in the picture?")["text"])
        again = self.agent().run_sync("Is there an animal?", message_history=result.all_messages())
        self.assertTrue(again.output)

    def test_agent_gets_a_result_of_its_type(self):
        class Seen(pydantic.BaseModel):
            animal: Literal["cat", "cup"]

        provider = OpenAIProvider(base_url=self.server.url + "/v1", api_key=KEY)
        # By its own way, which is a call that is required.
        agent = Agent(OpenAIChatModel("llava", provider=provider), output_type=Seen)
        with open(CUP, "rb") as file:
            picture = BinaryContent(file.read(), media_type="image/png")
        found = agent.run_sync(["What is in the picture?", picture]).output
        self.assertIsInstance(found, Seen)

    def test_agent_answers_by_responses(self):
        class Seen(pydantic.BaseModel):
            animal: Literal["cat", "cup"]

        provider = OpenAIProvider(base_url=self.server.url + "/v1", api_key=KEY)
        agent = Agent(OpenAIResponsesModel("llava", provider=provider), output_type=Seen)
        with open(CUP, "rb") as file:
            picture = BinaryContent(file.read(), media_type="image/png")
        found = agent.run_sync(["What is in the picture?", picture]).output
        self.assertIsInstance(found, Seen)

    def test_agent_streams(self):
        async def text():
            async with self.agent().run_stream("Is there an animal?") as result:
                return [piece async for piece in result.stream_text(delta=True, debounce_by=None)]

        self.assertTrue("".join(asyncio.run(text())))


if __name__ == "__main__":
    print("openai", openai.__version__, "pydantic-ai", pydantic_ai.__version__)
    unittest.main(verbosity=2)
