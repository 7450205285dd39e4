"""Tests of vlm-serve over its sockets; run by scripts/test-server.

Models are the small ones of Tests/Fixtures, and answers are compared with those of vlm-run.
"""

import base64
import concurrent.futures
import importlib.util
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
import unittest

from server import Server

PROGRAMS = os.environ["VLM_PROGRAMS"]
MODELS = os.environ["VLM_TEST_MODELS"]
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
CUP = os.path.join(ROOT, "Tests/Fixtures/goldens/convllava-trained/cup.png")
CAT = os.path.join(ROOT, "Tests/Fixtures/goldens/convllava-trained/cat.png")
HORSE = os.path.join(ROOT, "docs/images/horse.png")


def model(name):
    return os.path.join(MODELS, name + ".vlmz")


def data_uri(path):
    with open(path, "rb") as file:
        return "data:image/png;base64," + base64.b64encode(file.read()).decode()


def vlm_run(*arguments):
    """What vlm-run prints as JSON."""
    result = subprocess.run(
        [os.path.join(PROGRAMS, "vlm-run"), *arguments, "--json", "-q"],
        check=True, capture_output=True, text=True,
    )
    return json.loads(result.stdout)


def chat(text, *pictures, **more):
    parts = [{"type": "text", "text": text}]
    parts += [{"type": "image_url", "image_url": {"url": data_uri(path)}} for path in pictures]
    content = parts if pictures else text
    return {"model": "llava", "messages": [{"role": "user", "content": content}], **more}


class ServerTests(unittest.TestCase):
    """One server with all models for most of the tests."""

    @classmethod
    def setUpClass(cls):
        cls.server = Server(
            model("llava"), "stories=" + model("stories"), model("cifar"), model("clip"),
            "--port", "0", "--max-body", "2M",
        )

    @classmethod
    def tearDownClass(cls):
        assert cls.server.stop() == 0, cls.server.errors

    # ---- Chats ----

    def test_chat_gives_the_answer_of_vlm_run(self):
        question = "What is in the picture?"
        status, answer = self.server.post("/v1/chat/completions", chat(question, CUP))
        expected = vlm_run(model("llava"), CUP, "-p", question)
        self.assertEqual(status, 200, answer)
        self.assertEqual(answer["object"], "chat.completion")
        self.assertEqual(answer["choices"][0]["message"]["content"], expected["text"])
        self.assertEqual(answer["choices"][0]["finish_reason"], "stop")
        usage = answer["usage"]
        self.assertEqual(
            usage["prompt_tokens"], expected["prompt_tokens"] + expected["visual_tokens"])
        self.assertEqual(usage["completion_tokens"], len(expected["token_ids"]))
        self.assertEqual(usage["total_tokens"], usage["prompt_tokens"] + usage["completion_tokens"])

    def test_seeded_answers_equal_those_of_vlm_run(self):
        for seed in (1, 7):
            _, answer = self.server.post(
                "/v1/chat/completions",
                chat("Is there an animal?", CAT, temperature=1.5, top_p=0.9, seed=seed, max_tokens=24))
            expected = vlm_run(
                model("llava"), CAT, "-p", "Is there an animal?", "--temp", "1.5", "--top-p", "0.9",
                "--seed", str(seed), "-n", "24")
            self.assertEqual(answer["choices"][0]["message"]["content"], expected["text"])

    def test_answers_in_company_equal_those_alone(self):
        def one(seed):
            body = {
                "model": "stories", "prompt": "Once upon a time", "max_tokens": 40,
                "temperature": 1, "seed": seed,
            }
            return self.server.post("/v1/completions", body)[1]["choices"][0]["text"]

        alone = [one(seed) for seed in range(6)]
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            self.assertEqual(list(pool.map(one, range(6))), alone)

    def test_stream_has_the_same_text_and_the_usage(self):
        question = "What is in the picture?"
        _, whole = self.server.post("/v1/chat/completions", chat(question, CUP))
        body = chat(question, CUP, stream=True, stream_options={"include_usage": True})
        status, headers, data = self.server.request("POST", "/v1/chat/completions", body)
        self.assertEqual(status, 200)
        self.assertEqual(headers["Content-Type"], "text/event-stream")
        events = data.decode().split("\n\n")
        self.assertEqual(events[-2:], ["data: [DONE]", ""])
        chunks = [json.loads(event.removeprefix("data: ")) for event in events[:-2]]
        self.assertEqual(chunks[0]["choices"][0]["delta"]["role"], "assistant")
        text = "".join(
            chunk["choices"][0]["delta"].get("content", "") for chunk in chunks if chunk["choices"])
        self.assertEqual(text, whole["choices"][0]["message"]["content"])
        self.assertEqual(chunks[-2]["choices"][0]["finish_reason"], "stop")
        self.assertEqual(chunks[-1]["choices"], [])
        self.assertEqual(
            chunks[-1]["usage"]["completion_tokens"], whole["usage"]["completion_tokens"])

    def test_history_is_a_part_of_the_prompt(self):
        body = chat("Is there an animal?", CAT)
        body["messages"] += [
            {"role": "assistant", "content": "Yes."}, {"role": "user", "content": "What is it?"},
        ]
        status, answer = self.server.post("/v1/chat/completions", body)
        self.assertEqual(status, 200, answer)
        alone = self.server.post("/v1/chat/completions", chat("What is it?", CAT))[1]
        self.assertGreater(answer["usage"]["prompt_tokens"], alone["usage"]["prompt_tokens"])
        # In place of the template's own, which is longer.
        body["messages"].insert(0, {"role": "system", "content": "Be brief."})
        briefly = self.server.post("/v1/chat/completions", body)[1]
        self.assertLess(briefly["usage"]["prompt_tokens"], answer["usage"]["prompt_tokens"])

    def test_several_answers_differ_by_their_seeds(self):
        body = {
            "model": "stories", "prompt": "Once", "n": 3, "seed": 5, "temperature": 1.2,
            "max_tokens": 20,
        }
        answer = self.server.post("/v1/completions", body)[1]
        texts = [choice["text"] for choice in answer["choices"]]
        self.assertEqual([choice["index"] for choice in answer["choices"]], [0, 1, 2])
        self.assertEqual(len(set(texts)), 3)
        second = self.server.post("/v1/completions", {**body, "n": 1, "seed": 6})[1]
        self.assertEqual(second["choices"][0]["text"], texts[1])

    def test_an_answer_that_is_begun_goes_on(self):
        body = chat("What is in the picture?", CUP, temperature=0)
        whole = self.server.post("/v1/chat/completions", body)[1]["choices"][0]["message"]["content"]
        beginning = whole[:whole.index(" ", 5)]
        body["messages"].append({"role": "assistant", "content": beginning})
        status, answer = self.server.post("/v1/chat/completions", body)
        self.assertEqual(status, 200, answer)
        self.assertEqual(beginning + answer["choices"][0]["message"]["content"], whole)

    # ---- Responses ----

    def response(self, text, *pictures, **more):
        content = [{"type": "input_image", "image_url": data_uri(path)} for path in pictures]
        content.append({"type": "input_text", "text": text})
        return {"model": "llava", "input": [{"role": "user", "content": content}], **more}

    def test_responses_have_the_answers_of_chats(self):
        question = "What is in the picture?"
        status, answer = self.server.post("/v1/responses", self.response(question, CUP))
        self.assertEqual(status, 200, answer)
        (item,) = answer["output"]
        expected = self.server.post("/v1/chat/completions", chat(question, CUP))[1]
        self.assertEqual(
            item["content"][0]["text"], expected["choices"][0]["message"]["content"])
        self.assertEqual((answer["status"], answer["object"]), ("completed", "response"))
        self.assertEqual(answer["usage"]["input_tokens"], expected["usage"]["prompt_tokens"])
        # What was said goes back as it came, and the conversation on.
        body = self.response(question, CUP)
        body["input"] += [item, {"role": "user", "content": "Is it hot?"}]
        longer = self.server.post("/v1/responses", body)[1]
        self.assertGreater(longer["usage"]["input_tokens"], answer["usage"]["input_tokens"])
        cut = self.server.post("/v1/responses", self.response(question, CUP, max_output_tokens=2))[1]
        self.assertEqual(cut["status"], "incomplete")
        self.assertEqual(cut["incomplete_details"], {"reason": "max_output_tokens"})

    def test_responses_call_functions(self):
        schema = {"type": "object", "properties": {"animal": {"enum": ["cat", "cup"]}},
                  "required": ["animal"], "additionalProperties": False}
        tools = [{"type": "function", "name": "seen", "parameters": schema, "strict": True}]
        body = self.response(
            "What is in the picture?", CAT, tools=tools, tool_choice="required", max_output_tokens=200)
        status, answer = self.server.post("/v1/responses", body)
        self.assertEqual(status, 200, answer)
        (call,) = answer["output"]
        self.assertEqual((call["type"], call["name"]), ("function_call", "seen"))
        self.assertIn(json.loads(call["arguments"])["animal"], ("cat", "cup"))
        del body["tool_choice"]
        body["input"] += [
            call, {"type": "function_call_output", "call_id": call["call_id"], "output": "noted"}]
        self.assertEqual(self.server.post("/v1/responses", body)[0], 200)

    def test_stop_strings_and_limits_end_answers(self):
        body = {"model": "stories", "prompt": "Once upon a time", "max_tokens": 60, "temperature": 0}
        whole = self.server.post("/v1/completions", {**body, "max_tokens": 12})[1]["choices"][0]
        self.assertEqual(whole["finish_reason"], "length")
        stopped = self.server.post("/v1/completions", {**body, "stop": ["little"]})[1]["choices"][0]
        self.assertEqual(stopped["finish_reason"], "stop")
        self.assertNotIn("little", stopped["text"])
        self.assertTrue(whole["text"].startswith(stopped["text"]))

    def test_log_probabilities_are_those_of_the_chosen_tokens(self):
        body = chat("What is in the picture?", CUP, logprobs=True, top_logprobs=3, temperature=0)
        choice = self.server.post("/v1/chat/completions", body)[1]["choices"][0]
        content = choice["logprobs"]["content"]
        self.assertGreater(len(content), 5)
        for token in content:
            self.assertEqual(len(token["top_logprobs"]), 3)
            # Greedy: the chosen token is the most probable.
            self.assertEqual(token["logprob"], token["top_logprobs"][0]["logprob"])
            self.assertLessEqual(token["logprob"], 0)
        # Joined, the tokens are the text: the first has no space that the text has not.
        joined = b"".join(bytes(token["bytes"]) for token in content)
        self.assertEqual(joined.decode(), choice["message"]["content"])
        self.assertFalse(content[0]["top_logprobs"][0]["token"].startswith(" "))

    # ---- Pictures and texts ----

    def test_answers_keep_to_a_schema(self):
        schema = {
            "type": "object", "additionalProperties": False, "required": ["animal", "legs"],
            "properties": {"animal": {"type": "string", "maxLength": 8},
                           "legs": {"type": "integer", "minimum": 0, "maximum": 8}}}
        wanted = {"type": "json_schema", "json_schema": {"name": "seen", "schema": schema}}
        for seed in (1, 2):
            status, answer = self.server.post("/v1/chat/completions", chat(
                "What is in the picture?", CAT, response_format=wanted, temperature=1.5, seed=seed,
                max_tokens=200))
            self.assertEqual(status, 200, answer)
            self.assertEqual(answer["choices"][0]["finish_reason"], "stop")
            found = json.loads(answer["choices"][0]["message"]["content"])
            self.assertEqual(list(found), ["animal", "legs"])
            self.assertLessEqual(len(found["animal"]), 8)
            self.assertIn(found["legs"], range(9))
        wanted["json_schema"]["schema"] = {"type": "array", "uniqueItems": True}
        self.refused(
            "/v1/chat/completions", chat("What?", response_format=wanted), 400)

    def test_classes_equal_those_of_vlm_run(self):
        status, answer = self.server.post(
            "/v1/classify", {"model": "cifar", "input": [data_uri(HORSE)], "top": 3})
        self.assertEqual(status, 200, answer)
        expected = vlm_run(model("cifar"), HORSE, "--top", "3")[0]["top"]
        classes = answer["data"][0]["classes"]
        self.assertEqual([one["label"] for one in classes], [one["label"] for one in expected])
        for one, other in zip(classes, expected):
            self.assertAlmostEqual(one["score"], other["probability"], places=6)

    def test_labels_choose_among_texts(self):
        labels = ["a cat", "a dog", "a cup"]
        body = {"model": "clip", "input": data_uri(CUP), "labels": labels}
        answer = self.server.post("/v1/classify", body)[1]
        expected = vlm_run(model("clip"), CUP, "--labels", ",".join(labels))[0]["top"]
        classes = answer["data"][0]["classes"]
        self.assertEqual([one["label"] for one in classes], [one["label"] for one in expected])
        self.assertAlmostEqual(sum(one["score"] for one in classes), 1, places=5)

    def test_embeddings_come_as_numbers_and_as_base64(self):
        body = {"model": "clip", "input": ["a cat", data_uri(CUP)]}
        numbers = self.server.post("/v1/embeddings", body)[1]["data"]
        packed = self.server.post("/v1/embeddings", {**body, "encoding_format": "base64"})[1]["data"]
        for one, other in zip(numbers, packed):
            raw = base64.b64decode(other["embedding"])
            self.assertEqual(list(struct.unpack(f"<{len(raw) // 4}f", raw)), [
                struct.unpack("<f", struct.pack("<f", value))[0] for value in one["embedding"]])
            self.assertAlmostEqual(sum(value * value for value in one["embedding"]), 1, places=4)

    def test_explain_draws_a_png(self):
        for name, path in (("cifar", HORSE), ("llava", CUP)):
            status, headers, data = self.server.request(
                "POST", "/v1/explain", {"model": name, "input": data_uri(path)})
            self.assertEqual((status, headers["Content-Type"]), (200, "image/png"))
            self.assertEqual(data[:8], b"\x89PNG\r\n\x1a\n")

    # ---- Errors ----

    def refused(self, path, body, status, parameter=None, code=None):
        found, answer = self.server.post(path, body)
        self.assertEqual(found, status, answer)
        error = answer["error"]
        self.assertEqual(set(error), {"message", "type", "param", "code"})
        if parameter:
            self.assertEqual(error["param"], parameter)
        if code:
            self.assertEqual(error["code"], code)
        return error["message"]

    def test_errors_name_the_parameter(self):
        path = "/v1/chat/completions"
        self.refused(path, chat("Hi", tools=[{"type": "function"}]), 400, "tools[0].function")
        self.refused(path, chat("Hi", frequency_penalty=9), 400, "frequency_penalty")
        self.refused(path, chat("Hi", temprature=1), 400, "temprature", "unknown_parameter")
        self.refused(path, chat("Hi", temperature=9), 400, "temperature")

    def test_errors_of_models_name_the_parameter(self):
        self.refused("/v1/completions", {"model": "stories", "prompt": [1, 99999999]}, 400, "prompt")
        self.refused("/v1/completions", {"model": "stories", "prompt": "word " * 5000}, 400, "prompt",
                     "context_length_exceeded")
        self.refused("/v1/chat/completions", chat("word " * 5000), 400, "messages")
        self.refused("/v1/responses", {"model": "llava", "input": "word " * 5000}, 400, "input")
        picture = data_uri(HORSE)
        body = {"model": "clip", "input": picture, "labels": ["cat", " "]}
        self.refused("/v1/classify", body, 400, "labels")
        body = {"model": "clip", "input": picture, "labels": ["cat"], "templates": ["a photo"]}
        self.refused("/v1/classify", body, 400, "templates")

    def test_errors_in_a_form_name_the_parameter_that_has_it(self):
        path = "/v1/chat/completions"
        schema = {"type": "objekt"}
        wanted = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
        message = self.refused(path, chat("Hi", response_format=wanted), 400, "response_format")
        self.assertIn("objekt", message)
        self.refused(path, chat("Hi", guided_json=schema), 400, "guided_json")
        self.refused(path, chat("Hi", grammar="root = 'a'"), 400, "grammar")
        self.refused(path, chat("Hi", tool_choice="required", tools=[
            {"type": "function", "function": {"name": "see", "parameters": schema}}]), 400, "tools")
        text = {"format": {"type": "json_schema", "name": "a", "schema": schema}}
        body = {"model": "llava", "input": "Hi", "text": text}
        self.refused("/v1/responses", body, 400, "text.format")
        # What else is wrong with a request of that kind is not the form's fault.
        right = {"type": "json_object"}
        found, answer = self.server.post(path, chat("word " * 5000, response_format=right))
        self.assertEqual((found, answer["error"]["param"]), (400, "messages"), answer)
        self.refused(path, {**chat("Hi"), "model": "gpt-4o"}, 404, "model", "model_not_found")
        self.refused(path, {**chat("Hi"), "model": "cifar"}, 400, "model", "not_capable")
        self.refused(path, {"model": "llava", "messages": []}, 400, "messages")
        self.refused("/v1/embeddings", {"model": "llava", "input": "a"}, 400, "model")
        status, answer = self.server.post(path, "{")
        self.assertEqual((status, answer["error"]["code"]), (400, "invalid_json"))

    def test_pictures_are_not_fetched_and_paths_not_read(self):
        for uri in ("http://127.0.0.1:1/a.png", "https://example.org/a.png"):
            body = chat("What?", CUP)
            body["messages"][0]["content"][1]["image_url"]["url"] = uri
            self.assertIn("fetches no URLs", self.refused("/v1/chat/completions", body, 400))
        for uri in ("file:///etc/passwd", CUP, "data:image/png;base64,####", "data:,abc"):
            body = {"model": "cifar", "input": uri}
            self.assertNotIn("root:", self.refused("/v1/classify", body, 400, "input"))

    def test_harmless_parameters_are_ignored(self):
        body = chat(
            "Hi", user="me", store=False, metadata={}, frequency_penalty=0, presence_penalty=0.0,
            tools=[], logit_bias={}, parallel_tool_calls=True, max_tokens=3,
            response_format={"type": "text"})
        self.assertEqual(self.server.post("/v1/chat/completions", body)[0], 200)

    def test_large_bodies_are_refused(self):
        status, answer = self.server.post("/v1/chat/completions", b"x" * (3 << 20))
        self.assertEqual((status, answer["error"]["code"]), (413, "body_too_large"))

    def test_prompts_beyond_the_context_have_their_code(self):
        body = {"model": "stories", "prompt": "word " * 5000}
        self.refused("/v1/completions", body, 400, code="context_length_exceeded")

    def test_unknown_paths_and_methods_are_told(self):
        status, _, data = self.server.request("GET", "/v1/nothing")
        self.assertEqual((status, json.loads(data)["error"]["code"]), (404, "unknown_url"))
        self.assertEqual(self.server.request("GET", "/v1/chat/completions")[0], 405)
        self.assertEqual(self.server.request("DELETE", "/health")[0], 405)
        self.assertEqual(self.server.request("GET", "/../../etc/passwd")[0], 404)

    def test_penalties_and_biases_change_answers(self):
        body = {"model": "stories", "prompt": "Once", "max_tokens": 60, "temperature": 0}
        plain = self.server.post("/v1/completions", body)[1]["choices"][0]["text"]
        for more in ({"frequency_penalty": 2}, {"presence_penalty": 2}):
            status, answer = self.server.post("/v1/completions", {**body, **more})
            self.assertEqual(status, 200, answer)
            self.assertNotEqual(answer["choices"][0]["text"], plain)
        forced = self.server.post(
            "/v1/completions", {**body, "max_tokens": 3, "logit_bias": {"300": 100}, "logprobs": 0})[1]
        tokens = forced["choices"][0]["logprobs"]["tokens"]
        self.assertEqual(len(set(tokens)), 1)
        # A byte of a character, as OpenAI's older interface has it.
        part = self.server.post(
            "/v1/completions", {**body, "max_tokens": 2, "logit_bias": {"229": 100}, "logprobs": 1})[1]
        self.assertEqual(part["choices"][0]["logprobs"]["tokens"], ["bytes:\\xe2"] * 2)

    def test_choices_and_grammars_of_other_servers_hold(self):
        for more in ({"guided_choice": ["yes", "no"]}, {"grammar": 'root ::= "yes" | "no"'}):
            answer = self.server.post("/v1/chat/completions", chat("Is there a cup?", CUP, **more))[1]
            self.assertIn(answer["choices"][0]["message"]["content"], ("yes", "no"))

    def test_calls_that_are_required_fit_their_schemas(self):
        schema = {"type": "object", "properties": {"animal": {"enum": ["cat", "cup"]}},
                  "required": ["animal"], "additionalProperties": False}
        tools = [{"type": "function", "function": {"name": "seen", "parameters": schema}}]
        body = chat("What is in the picture?", CAT, tools=tools, tool_choice="required", max_tokens=200)
        status, answer = self.server.post("/v1/chat/completions", body)
        self.assertEqual(status, 200, answer)
        choice = answer["choices"][0]
        self.assertEqual(choice["finish_reason"], "tool_calls")
        self.assertIsNone(choice["message"]["content"])
        (call,) = choice["message"]["tool_calls"]
        self.assertEqual((call["type"], call["function"]["name"]), ("function", "seen"))
        self.assertIn(json.loads(call["function"]["arguments"])["animal"], ("cat", "cup"))
        # The result goes back, and the conversation on.
        body["messages"] += [
            choice["message"], {"role": "tool", "tool_call_id": call["id"], "content": "noted"}]
        del body["tool_choice"]
        status, answer = self.server.post("/v1/chat/completions", body)
        self.assertEqual(status, 200, answer)
        # In pieces the call comes whole.
        body = chat("What?", CAT, tools=tools, tool_choice="required", max_tokens=200, stream=True)
        _, _, data = self.server.request("POST", "/v1/chat/completions", body)
        chunks = [json.loads(event[6:]) for event in data.decode().split("\n\n")[:-2]]
        deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
        (calls,) = [delta["tool_calls"] for delta in deltas if "tool_calls" in delta]
        self.assertEqual(calls[0]["index"], 0)
        self.assertEqual(chunks[-1]["choices"][0]["finish_reason"], "tool_calls")

    def test_calls_that_are_cut_off_are_no_text(self):
        schema = {"type": "object", "properties": {"animals": {"type": "array", "minItems": 50,
                  "items": {"enum": ["cat", "cup"]}}}, "required": ["animals"]}
        tools = [{"type": "function", "function": {"name": "seen", "parameters": schema}}]
        body = chat("What?", CAT, tools=tools, tool_choice="required", max_tokens=30)
        status, answer = self.server.post("/v1/chat/completions", body)
        self.assertEqual(status, 200, answer)
        (choice,) = answer["choices"]
        self.assertEqual(choice["finish_reason"], "length")
        self.assertIsNone(choice["message"]["content"])
        self.assertEqual(choice["message"]["tool_calls"][0]["function"]["name"], "seen")
        _, _, data = self.server.request("POST", "/v1/chat/completions", {**body, "stream": True})
        chunks = [json.loads(event[6:]) for event in data.decode().split("\n\n")[:-2]]
        deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
        self.assertFalse([delta for delta in deltas if delta.get("content")])
        (calls,) = [delta["tool_calls"] for delta in deltas if "tool_calls" in delta]
        self.assertEqual(calls[0]["function"]["name"], "seen")
        self.assertEqual(chunks[-1]["choices"][0]["finish_reason"], "length")

    def test_functions_without_parameters_are_called_with_an_empty_object(self):
        for more in ({}, {"parameters": {"type": "object", "properties": {}}}):
            tools = [{"type": "function", "function": {"name": "look", **more}}]
            body = chat("What?", CAT, tools=tools, tool_choice="required", max_tokens=200)
            choice = self.server.post("/v1/chat/completions", body)[1]["choices"][0]
            self.assertEqual(choice["message"]["tool_calls"][0]["function"]["arguments"], "{}")

    def test_biases_of_tokens_beyond_the_vocabulary_are_refused(self):
        body = {"model": "stories", "prompt": "Once", "logit_bias": {"1000000000": 1}}
        self.refused("/v1/completions", body, 400, "logit_bias")

    def test_every_page_without_keys_is_warned_of(self):
        for more, warns in ((("--api-key", "k"), False), ((), True)):
            with Server(model("stories"), "--port", "0", "--allow-origin", "*", *more) as server:
                server.stop()
                found = [line for line in server.errors if "--allow-origin '*'" in line]
                self.assertEqual(len(found), int(warns), server.errors)

    def test_pages_that_are_let_in_may_ask(self):
        page = {"Origin": "http://localhost:3000"}
        ask = {**page, "Access-Control-Request-Method": "POST"}
        self.assertEqual(self.server.request("OPTIONS", "/v1/models", headers=ask)[0], 403)
        with Server(
            model("stories"), "--port", "0", "-q", "--allow-origin", "http://localhost:3000",
        ) as server:
            status, headers, _ = server.request("OPTIONS", "/v1/completions", headers=ask)
            self.assertEqual(status, 204)
            self.assertIn("Authorization", headers["Access-Control-Allow-Headers"])
            body = {"prompt": "Once", "max_tokens": 2, "stream": True}
            status, headers, _ = server.request("POST", "/v1/completions", body, page)
            self.assertEqual(status, 200)
            self.assertEqual(headers["Access-Control-Allow-Origin"], "http://localhost:3000")

    def test_requests_of_other_pages_are_refused(self):
        for headers in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}):
            self.assertEqual(self.server.request("GET", "/v1/models", headers=headers)[0], 403)
        own = {"Origin": self.server.url, "Host": f"127.0.0.1:{self.server.port}"}
        self.assertEqual(self.server.request("GET", "/v1/models", headers=own)[0], 200)

    # ---- The rest ----

    def test_models_are_listed_by_name(self):
        answer = json.loads(self.server.request("GET", "/v1/models")[2])
        self.assertEqual([one["id"] for one in answer["data"]], ["llava", "stories", "cifar", "clip"])
        one = json.loads(self.server.request("GET", "/v1/models/clip")[2])
        self.assertEqual(one, answer["data"][3])
        self.assertIn("embeds_texts", one["capabilities"])

    def test_page_allows_nothing_from_elsewhere(self):
        status, headers, data = self.server.request("GET", "/")
        self.assertEqual(status, 200)
        policy = headers["Content-Security-Policy"]
        self.assertIn("default-src 'none'", policy)
        self.assertNotIn("unsafe", policy)
        self.assertNotRegex(data.decode(), r"(src|href)=\"(http|//)")

    def test_metrics_count_tokens_and_requests(self):
        before = self.server.metrics()
        _, answer = self.server.post(
            "/v1/completions", {"model": "stories", "prompt": "Once", "max_tokens": 9})
        after = self.server.metrics()
        name = 'vlmz_answer_tokens_total{model="stories"}'
        self.assertEqual(after[name] - before[name], answer["usage"]["completion_tokens"])
        name = 'vlmz_requests_total{endpoint="/v1/completions",status="200"}'
        self.assertEqual(after[name], before.get(name, 0) + 1)
        self.assertGreater(after["vlmz_resident_memory_bytes"], 1e6)

    def test_health_and_readiness(self):
        self.assertEqual(self.server.request("GET", "/health")[0], 200)
        self.assertEqual(self.server.request("HEAD", "/ready")[0], 200)

    def test_client_that_leaves_ends_its_answer(self):
        cancelled = 'vlmz_answers_total{model="stories",reason="cancelled"}'
        before = self.server.metrics()[cancelled]
        body = json.dumps({"model": "stories", "prompt": "Once", "max_tokens": 480, "stream": True,
                           "temperature": 1, "n": 8})
        with socket.create_connection((self.server.host, self.server.port)) as connection:
            connection.sendall((
                "POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                f"Content-Length: {len(body)}\r\n\r\n{body}").encode())
            connection.recv(100)
        self.wait_until(lambda: self.server.metrics()[cancelled] > before)
        self.wait_until(lambda: self.server.metrics()['vlmz_answers_active{model="stories"}'] == 0)

    # ---- Heads ----

    def raw(self, head, body=b""):
        """The status of an answer and all of its bytes, up to where the server closes the connection."""
        with socket.create_connection((self.server.host, self.server.port)) as connection:
            connection.settimeout(60)
            connection.sendall(head.replace("\n", "\r\n").encode("latin-1") + b"\r\n\r\n" + body)
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
        return int(answer.split()[1]), answer

    def test_heads_that_others_may_read_otherwise_are_refused_and_end_the_connection(self):
        post = "POST /v1/completions HTTP/1.1\nHost: localhost\n"
        smuggled = b"0\r\n\r\nGET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
        for head in (
            post + "Content-Length: 4\nContent-Length: 5",
            post + "Content-Length: 4\nTransfer-Encoding: chunked",
            post + "Transfer-Encoding: gzip",
            post + "Transfer-Encoding: gzip\nTransfer-Encoding: chunked",
            "GET /health HTTP/1.1\nHost: localhost\nHost: localhost",
            "GET /health HTTP/1.1\nHost: localhost\nContent-Length: 3",
        ):
            status, answer = self.raw(head, smuggled)
            self.assertEqual(status, 400, head)
            self.assertEqual(answer.count(b"HTTP/1.1 "), 1, head)

    def test_lengths_far_beyond_the_limit_are_refused_at_once(self):
        head = "POST /v1/completions HTTP/1.1\nHost: localhost\nContent-Length: "
        self.assertEqual(self.raw(head + "999999999999")[0], 413)

    def test_targets_may_be_whole_and_are_not_cut_short(self):
        close = "\nConnection: close"
        whole = "GET http://localhost/health HTTP/1.1\nHost: localhost" + close
        self.assertEqual(self.raw(whole)[0], 200)
        foreign = "GET http://evil.example/health HTTP/1.1\nHost: localhost" + close
        self.assertEqual(self.raw(foreign)[0], 403)
        cut = "GET /health%00/x HTTP/1.1\nHost: localhost" + close
        self.assertEqual(self.raw(cut)[0], 404)

    def wait_until(self, condition):
        end = time.monotonic() + 60
        while not condition():
            self.assertLess(time.monotonic(), end, "nothing happened for a minute")
            time.sleep(0.02)


class LifeTests(unittest.TestCase):
    """Servers that begin and end in their own ways."""

    def test_keys_come_from_a_pipe(self):
        reading, writing = os.pipe()
        os.write(writing, b"# keys\npiped-key\n")
        os.close(writing)
        with Server(
                model("stories"), "--port", "0", "--api-key-file", f"/dev/fd/{reading}", "-q",
                descriptors=(reading,)) as server:
            os.close(reading)
            for key, status in (("piped-key", 200), ("piped", 401)):
                headers = {"Authorization": "Bearer " + key}
                self.assertEqual(server.request("GET", "/v1/models", headers=headers)[0], status)

    def test_keys_are_asked_for(self):
        path = os.path.join(MODELS, "keys.txt")
        with open(path, "w") as file:
            file.write("# keys\nfirst-key\n\n second-key \n")
        with Server(model("stories"), "--port", "0", "--api-key-file", path, "-q") as server:
            self.assertEqual(server.request("GET", "/health")[0], 200)
            self.assertEqual(server.request("GET", "/")[0], 200)
            self.assertEqual(server.request("GET", "/metrics")[0], 401)
            for key, status in (("first-key", 200), ("second-key", 200), ("first-ke", 401), ("", 401)):
                headers = {"Authorization": "Bearer " + key}
                self.assertEqual(server.request("GET", "/v1/models", headers=headers)[0], status)
            self.assertEqual(server.stop(), 0)
            self.assertEqual(server.errors, [])

    def test_unix_socket_is_the_users_and_is_removed(self):
        path = os.path.join(MODELS, "socket")
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(path)
        with Server(model("stories"), "--unix", path) as server:
            self.assertEqual(server.line, "listening on unix:" + path)
            self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
            result = subprocess.run(
                ["curl", "-sS", "--unix-socket", path, "http://localhost/ready"],
                check=True, capture_output=True, text=True)
            self.assertEqual(json.loads(result.stdout)["status"], "ready")
            with Server(model("stories"), "--unix", path, listens=False) as second:
                self.assertEqual(second.process.wait(timeout=60), 74)
            self.assertEqual(server.stop(signal.SIGINT), 0)
        self.assertFalse(os.path.exists(path))

    def test_socket_of_a_service_manager_is_taken_and_told(self):
        path = os.path.join(MODELS, "notify")
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify.bind(path)
        notify.settimeout(60)
        listener = socket.create_server(("127.0.0.1", 0))
        # Descriptor 3, with the process's own number in LISTEN_PID, as systemd does it.
        program = os.path.join(PROGRAMS, "vlm-serve")
        script = (
            f"exec 3<&{listener.fileno()}; LISTEN_PID=$$ LISTEN_FDS=1 NOTIFY_SOCKET={path} "
            f"exec {program} {model('stories')} -q")
        process = subprocess.Popen(
            ["bash", "-c", script], stdout=subprocess.PIPE, text=True,
            pass_fds=[listener.fileno()])
        self.assertIn(b"READY=1", notify.recv(1000))
        port = listener.getsockname()[1]
        listener.close()
        self.assertEqual(process.stdout.readline().strip(), f"listening on http://127.0.0.1:{port}")
        result = subprocess.run(
            ["curl", "-sS", f"http://127.0.0.1:{port}/health"], check=True, capture_output=True)
        self.assertIn(b"ok", result.stdout)
        process.send_signal(signal.SIGTERM)
        self.assertIn(b"STOPPING=1", notify.recv(1000))
        self.assertEqual(process.wait(timeout=60), 0)
        process.stdout.close()
        notify.close()

    def test_slow_clients_are_cut_off(self):
        with Server(model("stories"), "--port", "0", "--client-timeout", "1") as server:
            starts = [b"GET /health HTTP/1.1\r\nHost: a", b"POST /v1/completions HTTP/1.1\r\n"
                      b"Host: 127.0.0.1\r\nContent-Length: 100\r\n\r\n{"]
            for start in starts:
                with socket.create_connection((server.host, server.port)) as connection:
                    connection.settimeout(60)
                    connection.sendall(start)
                    begin = time.monotonic()
                    self.assertEqual(connection.recv(100), b"")
                    self.assertLess(time.monotonic() - begin, 30)
            self.assertEqual(server.request("GET", "/health")[0], 200)

    def test_an_unfinished_body_does_not_hold_up_the_end(self):
        with Server(model("stories"), "--port", "0", "--drain", "50", "-q") as server:
            with socket.create_connection((server.host, server.port)) as connection:
                connection.sendall(
                    b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{")
                self.assertEqual(server.request("GET", "/health")[0], 200)
                begin = time.monotonic()
                self.assertEqual(server.stop(), 0)
                self.assertLess(time.monotonic() - begin, 40)

    def test_idle_connections_make_room_for_others(self):
        arguments = [model("stories"), "--port", "0", "--connections", "8", "--client-timeout", "600"]
        with Server(*arguments, "-q") as server:
            idle = [socket.create_connection((server.host, server.port)) for _ in range(20)]
            self.assertEqual(server.request("GET", "/health")[0], 200)
            for connection in idle:
                connection.close()
            self.assertEqual(server.stop(), 0)

    def test_one_address_has_a_part_of_the_connections(self):
        # Of a socket that other machines reach; those of this machine alone share an address.
        arguments = [model("stories"), "--host", "0.0.0.0", "--port", "0", "-q", "--api-key", "k"]
        request = b"GET /ready HTTP/1.1\r\nHost: a\r\n\r\n"
        with Server(*arguments, "--connections-of-address", "3") as server:
            held = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(3)]
            for connection in held:
                connection.sendall(request)
                self.assertTrue(connection.recv(12).endswith(b"200"))
            with socket.create_connection(("127.0.0.1", server.port), timeout=60) as other:
                try:
                    other.sendall(request)
                    self.assertEqual(other.recv(1), b"")
                except (BrokenPipeError, ConnectionResetError):
                    pass
            for connection in held:
                connection.close()
            self.assertEqual(server.stop(), 0)

    def test_a_key_waits_for_one_request_of_another_not_for_all(self):
        path = os.path.join(MODELS, "two-keys.txt")
        with open(path, "w") as file:
            file.write("many\nfew\n")
        arguments = [model("stories"), "--port", "0", "--api-key-file", path, "--parallel", "1", "-q"]
        with Server(*arguments) as server, concurrent.futures.ThreadPoolExecutor(25) as pool:
            def ask(key):
                body = {"prompt": "Once", "max_tokens": 200, "temperature": 2}
                headers = {"Authorization": "Bearer " + key}
                self.assertEqual(server.request("POST", "/v1/completions", body, headers)[0], 200)

            others = [pool.submit(ask, "many") for _ in range(24)]
            concurrent.futures.wait(others, return_when=concurrent.futures.FIRST_COMPLETED)
            pool.submit(ask, "few").result()
            self.assertGreater(sum(not other.done() for other in others), 8)
            for other in others:
                other.result()
            self.assertEqual(server.stop(), 0)

    def test_full_queue_is_told_with_a_time_to_come_back(self):
        arguments = [model("stories"), "--port", "0", "--parallel", "1", "--queue", "1", "-q"]
        with Server(*arguments) as server:
            body = {"prompt": "Once", "max_tokens": 400, "temperature": 1}

            def one(_):
                return server.request("POST", "/v1/completions", body)

            with concurrent.futures.ThreadPoolExecutor(16) as pool:
                answers = list(pool.map(one, range(16)))
            statuses = [status for status, _, _ in answers]
            self.assertEqual(set(statuses), {200, 429})
            refused = answers[statuses.index(429)]
            self.assertGreaterEqual(int(refused[1]["Retry-After"]), 1)
            self.assertEqual(json.loads(refused[2])["error"]["code"], "queue_full")
            # What will never fit is not a matter of time.
            status, headers, data = server.request("POST", "/v1/completions", {**body, "n": 3})
            self.assertEqual((status, headers["Retry-After"]), (400, None))
            self.assertEqual(json.loads(data)["error"]["param"], "n")

    def test_termination_lets_answers_finish(self):
        with Server(model("stories"), "--port", "0", "--drain", "300") as server:
            body = {"prompt": "Once", "max_tokens": 200, "temperature": 1, "stream": True, "n": 4}
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                answer = pool.submit(server.request, "POST", "/v1/completions", body)
                end = time.monotonic() + 60
                while server.metrics()['vlmz_answers_active{model="stories"}'] < 1:
                    self.assertLess(time.monotonic(), end)
                self.assertEqual(server.stop(), 0)
                status, _, data = answer.result()
            self.assertEqual(status, 200)
            self.assertTrue(data.endswith(b"data: [DONE]\n\n"))
            self.assertEqual(data.count(b'"finish_reason":"'), 4)

    def test_log_has_a_line_for_each_request(self):
        with Server(model("stories"), "--port", "0", "--json") as server:
            first = json.loads(server.line)
            self.assertEqual(first["models"], ["stories"])
            server.host, server.port = "127.0.0.1", int(first["listening"][0].rsplit(":", 1)[1])
            server.post("/v1/completions", {"prompt": "Once", "max_tokens": 5})
            server.request("GET", "/a%0Ab")
            self.assertEqual(server.stop(), 0)
        lines = [json.loads(line) for line in server.errors]
        self.assertEqual([line["status"] for line in lines], [200, 404])
        self.assertEqual(lines[0]["answer_tokens"], 5)
        self.assertEqual(lines[1]["path"], "/a\nb")


class DocumentTests(unittest.TestCase):
    """The commands of docs/serving.md."""

    def test_commands_of_the_document_run(self):
        with open(os.path.join(ROOT, "docs/serving.md")) as file:
            text = file.read()
        blocks = re.findall(r"```(sh|python) run\n(.*?)```", text, re.S)
        self.assertGreaterEqual(len(blocks), 5)
        with Server(model("llava"), model("cifar"), model("clip"), "--port", "0", "-q") as server:
            for language, block in blocks:
                block = block.replace("http://127.0.0.1:8080", server.url)
                command = ["bash", "-euo", "pipefail", "-c", block]
                if language == "python":
                    if importlib.util.find_spec("openai") is None:
                        continue
                    command = [sys.executable, "-c", block]
                result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
                self.assertEqual(result.returncode, 0, block + result.stdout + result.stderr)
                self.assertNotIn('"error"', result.stdout, block)


if __name__ == "__main__":
    unittest.main(verbosity=2)
