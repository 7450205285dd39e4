import VLMImages
import VLMTensor
import VLMText

enum TemplateTarget {
  /// Small, so that what is expensive shows as an error and not as time.
  private static let limits = JinjaLimits(
    maximumSourceBytes: 1 << 16, maximumSteps: 20_000, maximumOutput: 1 << 16,
    maximumMemory: 2 << 20)

  private static var call: JinjaValue {
    [
      "type": "function", "id": "abcdefghi",
      "function": ["name": "f", "arguments": ["a": 1, "b": [2.5, .none, true]]],
    ]
  }

  /// Made anew each time: a leak checker does not see what a global of such values refers to.
  private static var variables: [(name: String, value: JinjaValue)] {
    [
      ("bos_token", "<s>"), ("eos_token", "</s>"), ("add_generation_prompt", true), ("n", 7),
      ("tools", [call]),
      (
        "messages",
        [
          ["role": "system", "content": "Be brief."],
          ["role": "user", "content": .text(" <b> \"é🙂\n", isUserText: true)],
          ["role": "assistant", "content": "<think>a</think>\n\nb", "tool_calls": [call]],
          ["role": "user", "content": [["type": "image"], ["type": "text", "text": "c"]]],
        ]
      ),
    ]
  }

  /// A chat template and what it makes of a conversation: within its limits, and twice the same.
  static func run(_ bytes: UnsafeRawBufferPointer) {
    let source = String(decoding: bytes, as: UTF8.self)
    let variables = variables
    let now = JinjaTime(year: 2024, month: 2, day: 29)
    do throws(JinjaError) {
      let template = try JinjaTemplate(source, limits: limits)
      let text = try template.render(variables, now: now)
      let count = text.string.unicodeScalars.count
      precondition(count <= limits.maximumOutput, "within the limits")
      for (run, next) in zip(text.runs, text.runs.dropFirst()) {
        precondition(!run.text.isEmpty && run.isUserText != next.isUserText, "runs alternate")
      }
      let again = try template.render(variables, now: now)
      precondition(again == text, "the same again")
    } catch {
      precondition(!"\(error)".isEmpty, "an error says something")
    }
  }
}
