import VLMFoundation

/// A question about a film that a model sees as some of its frames, as transformers' `SmolVLMProcessor`
/// writes it: how many frames there are and how long the film is, each frame behind its time, and the
/// question.
package enum VideoPrompt {
  /// The text, with a placeholder for each frame.
  ///
  /// - Parameters:
  ///   - frames: numbers of the frames that are shown, from 0.
  ///   - count: frames of the whole film.
  ///   - rate: of them, so many are a second; above 0.
  package static func text(
    _ question: String, frames: [Int], of count: Int, rate: Double
  ) -> String {
    series(frames, of: count, rate: rate) + question
  }

  /// What stands before the question; see `text(_:frames:of:rate:)`.
  package static func series(_ frames: [Int], of count: Int, rate: Double) -> String {
    // Whoever writes a picture into a question puts this behind it, and the template takes it away.
    let picture = ImagePrompt.marker + ConversationTemplate.imageSeparator
    var text =
      "You are provided the following series of \(words(for: frames.count)) frames from a "
      + "\(duration(Double(count) / rate)) [H:MM:SS] video.\n"
    for frame in frames {
      let second = Int(Double(frame) / rate)
      text += "\nFrame from \(padded(second / 60)):\(padded(second % 60)):" + picture
    }
    return text + "\n\n"
  }

  /// Python's text of a `timedelta` of whole seconds.
  static func duration(_ seconds: Double) -> String {
    let whole = Int(min(seconds, 1e9))
    let (days, rest) = (whole / 86_400, whole % 86_400)
    let time = "\(rest / 3600):\(padded(rest / 60 % 60)):\(padded(rest % 60))"
    return days == 0 ? time : "\(counted(days, "day")), \(time)"
  }

  private static func padded(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }

  private static let small = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen",
  ]
  private static let tens = [
    "", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
  ]

  /// A number in English, as `num2words` writes it; digits from 1000 on.
  static func words(for number: Int) -> String {
    switch number {
    case 0..<20: return small[number]
    case 20..<100:
      let rest = number % 10
      return tens[number / 10] + (rest == 0 ? "" : "-" + small[rest])
    case 100..<1000:
      let rest = number % 100
      return small[number / 100] + " hundred" + (rest == 0 ? "" : " and " + words(for: rest))
    default: return "\(number)"
    }
  }
}
