"""Tests of vlm-serve with films; run by scripts/test-server."""

import base64
import os
import unittest

from server import Server
from test_server import ROOT, data_uri, model, vlm_run

PICTURES = os.path.join(ROOT, "Tests/Fixtures/smolvlm/pictures")
FRAMES = [os.path.join(PICTURES, f"frame-{number}.png") for number in range(6)]
GIF = os.path.join(PICTURES, "film.gif")
QUESTION = "What happens?"


def encoded(path):
    with open(path, "rb") as file:
        return base64.b64encode(file.read()).decode()


def vllm(paths):
    """Frames as vLLM's clients send them."""
    return "data:video/jpeg;base64," + ",".join(encoded(path) for path in paths)


def body(part, name="smolvlm", **more):
    content = [{"type": "text", "text": QUESTION}, part]
    return {
        "model": name, "messages": [{"role": "user", "content": content}], "temperature": 0,
        "max_tokens": 8, **more,
    }


class FilmTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(model("smolvlm"), model("llava"), "--port", "0", "--max-frames", "8")

    @classmethod
    def tearDownClass(cls):
        assert cls.server.stop() == 0, cls.server.errors

    def ask(self, part, **more):
        status, answer = self.server.post("/v1/chat/completions", body(part, **more))
        self.assertEqual(status, 200, answer)
        return answer["choices"][0]["message"]["content"], answer["usage"]

    def refused(self, part, **more):
        status, answer = self.server.post("/v1/chat/completions", body(part, **more))
        self.assertEqual(status, 400, answer)
        return answer["error"]

    def test_frames_of_every_form_have_the_answer_of_vlm_run(self):
        for rate in (1, 2):
            expected = vlm_run(
                model("smolvlm"), *FRAMES, "--fps", str(rate), "-p", QUESTION, "-n", "8",
                "--temp", "0")
            for part, more in (
                ({"type": "video_url", "video_url": {"url": vllm(FRAMES)}},
                 {"media_io_kwargs": {"video": {"fps": rate}}}),
                ({"type": "video_url", "video_url": {"url": vllm(FRAMES)}, "fps": rate}, {}),
                ({"type": "video", "video": [data_uri(path) for path in FRAMES], "fps": rate}, {}),
            ):
                text, usage = self.ask(part, **more)
                self.assertEqual(text, expected["text"])
                self.assertEqual(
                    usage["prompt_tokens"], expected["prompt_tokens"] + expected["visual_tokens"])

    def test_a_gif_has_the_rate_of_its_delays(self):
        expected = vlm_run(
            model("smolvlm"), GIF, "--fps", "10", "-p", QUESTION, "-n", "8", "--temp", "0")
        uri = "data:image/gif;base64," + encoded(GIF)
        for part in (
            {"type": "video_url", "video_url": {"url": uri}},
            {"type": "input_video", "input_video": {"data": encoded(GIF)}},
        ):
            self.assertEqual(self.ask(part)[0], expected["text"])

    def test_a_gif_as_a_picture_is_told_of(self):
        uri = "data:image/gif;base64," + encoded(GIF)
        for stream in (False, True):
            part = {"type": "image_url", "image_url": {"url": uri}}
            status, headers, _ = self.server.request(
                "POST", "/v1/chat/completions", body(part, stream=stream))
            self.assertEqual(status, 200)
            note = headers["X-Vlmz-Note"]
            self.assertTrue(note.startswith("messages[0].content[1].image_url: is a GIF of "), note)
            self.assertTrue(note.endswith(" pictures, of which the first is seen"), note)
        part = {"type": "image_url", "image_url": {"url": data_uri(FRAMES[0])}}
        _, headers, _ = self.server.request("POST", "/v1/chat/completions", body(part))
        self.assertNotIn("X-Vlmz-Note", headers)

    def test_a_film_is_seen_by_the_other_api_and_in_later_turns(self):
        part = {"type": "video_url", "video_url": {"url": vllm(FRAMES)}}
        text, _ = self.ask(part)
        status, answer = self.server.post("/v1/responses", {
            "model": "smolvlm", "temperature": 0, "max_output_tokens": 8,
            "input": [{"role": "user", "content": [
                {"type": "input_text", "text": QUESTION}, part]}],
        })
        self.assertEqual(status, 200, answer)
        self.assertEqual(answer["output"][0]["content"][0]["text"], text)
        messages = body(part)["messages"] + [
            {"role": "assistant", "content": text}, {"role": "user", "content": "And then?"}]
        before = self.server.metrics()['vlmz_pictures_encoded_total{model="smolvlm"}']
        status, answer = self.server.post(
            "/v1/chat/completions", body(part, messages=messages))
        self.assertEqual(status, 200, answer)
        after = self.server.metrics()['vlmz_pictures_encoded_total{model="smolvlm"}']
        self.assertEqual(after, before)

    def test_what_cannot_be_followed_is_refused_by_name(self):
        place = "messages[0].content[1]."
        mp4 = "data:video/mp4;base64," + base64.b64encode(b"\0\0\0\x18ftypmp42" + bytes(16)).decode()
        error = self.refused({"type": "video_url", "video_url": {"url": mp4}})
        self.assertEqual(error["param"], place + "video_url")
        self.assertIn("frames", error["message"])
        error = self.refused({"type": "video_url", "video_url": {"url": vllm(FRAMES * 2)}})
        self.assertIn("at most 8", error["message"])
        for frames in ([GIF], [FRAMES[0], GIF]):
            error = self.refused({"type": "video_url", "video_url": {"url": vllm(frames)}})
            self.assertEqual(error["param"], place + "video_url")
            self.assertIn("pictures as a frame, expected a single picture", error["message"])
        part = {"type": "video_url", "video_url": {"url": vllm(FRAMES)}}
        error = self.refused(part, model="llava")
        self.assertEqual(error["code"], "not_capable")
        self.assertIn("no films", error["message"])
        self.assertNotIn("/", error["message"])


if __name__ == "__main__":
    unittest.main()
