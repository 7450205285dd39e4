import Testing

@testable import VLMText

/// The words of SmolVLM's video prompts.
struct VideoPromptTests {
  @Test("numbers are written as num2words writes them")
  func numbers() {
    let words = [
      0: "zero", 13: "thirteen", 20: "twenty", 21: "twenty-one", 64: "sixty-four",
      100: "one hundred", 101: "one hundred and one", 120: "one hundred and twenty",
      345: "three hundred and forty-five", 512: "five hundred and twelve",
      999: "nine hundred and ninety-nine",
    ]
    for (number, text) in words { #expect(VideoPrompt.words(for: number) == text) }
  }

  @Test("durations are written as Python's timedelta writes them")
  func durations() {
    let texts: [(Double, String)] = [
      (0, "0:00:00"), (12.9, "0:00:12"), (3661, "1:01:01"), (86_400, "1 day, 0:00:00"),
      (200_000, "2 days, 7:33:20"),
    ]
    for (seconds, text) in texts { #expect(VideoPrompt.duration(seconds) == text) }
  }

  @Test("each frame stands behind its time, and the question behind all")
  func text() {
    let text = VideoPrompt.text("Why?", frames: [0, 130], of: 140, rate: 2)
    #expect(
      text
        == "You are provided the following series of two frames from a 0:01:10 [H:MM:SS] video.\n"
        + "\nFrame from 00:00:<image>\n\nFrame from 01:05:<image>\n\n\nWhy?")
  }
}
