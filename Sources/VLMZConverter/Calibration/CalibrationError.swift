import VLMFoundation

/// A model could not be calibrated on what it was given.
package struct CalibrationError: ReportableError, Equatable {
  package enum Problem: Sendable, Equatable {
    /// A folder without pictures and texts.
    case emptyFolder
    /// A file that is neither a picture nor a text.
    case notData
    /// A pointer or a server's answer in place of a text.
    case notFetched(FileKind)
    /// A picture that cannot be decoded, or does not fit the model; why.
    case picture(String)
    /// More is damaged than can be used; the first of it.
    case mostlyDamaged(count: Int, total: Int, first: String)
    /// A text larger than is read.
    case tooLarge(bytes: Int, limit: Int)
    /// A line of a file of conversations, from 1; what is wrong with it.
    case conversation(line: Int, String)
    /// Several such lines of a file, of so many; the first of them.
    case lines(count: Int, total: Int, first: Int, String)
    /// Conversations that the model cannot read, of so many; why.
    case conversations(count: Int, total: Int, String)
    /// The model needs data of a kind that is not there; which, and what it was given.
    case lacks(String, given: String)
    /// A model of so many channels, which no picture has.
    case channels(Int)
    /// Fewer tokens than say anything.
    case tooFewTokens(found: Int, expected: Int)
    /// The model makes no numbers of the data.
    case notFinite(tensor: String, count: Int)
    /// Nothing asks for what calibration finds out.
    case needless(scheme: String)
    /// The disk has no room for the unquantized model; bytes.
    case noRoom(needed: Int, free: Int)
  }

  package let path: String
  package let problem: Problem

  /// How many files, pictures or conversations cannot be used.
  var count: Int {
    switch problem {
    case .lines(let count, _, _, _), .conversations(let count, _, _): count
    default: 1
    }
  }

  package init(path: String, _ problem: Problem) {
    self.path = path
    self.problem = problem
  }

  package func description(in words: Wording) -> String {
    let name = path.escapedForDisplay()
    let setting = words.name(of: .calibration)
    switch problem {
    case .emptyFolder:
      return "\(name): no picture and no text in the folder, expected some"
    case .notData:
      return "\(name): neither a picture nor a text in UTF-8, expected data to calibrate on"
    case .notFetched(let kind):
      return "\(name): is " + kind.instead(of: "data to calibrate on")
    case .picture(let reason):
      return reason
    case .mostlyDamaged(let count, let total, let first):
      return "\(count) of \(total) pictures, texts and conversations cannot be used, "
        + "expected at most half: \(first)"
    case .tooLarge(let bytes, let limit):
      return "\(name): \(bytes) bytes of text, expected at most \(limit)"
    case .conversation(let line, let text):
      return "\(name): line \(line): \(text)"
    case .lines(let count, let total, let line, let text):
      return "\(name): \(count) of \(total) conversations, the first in line \(line): \(text)"
    case .conversations(let count, let total, let text):
      return "\(count) of \(counted(total, "conversation")): \(text)"
    case .lacks(let kind, let given):
      return "\(setting): found \(given), expected \(kind)" + words.end(.ownData)
    case .channels(let count):
      return
        "\(setting): found a model that sees \(count) channels, which no picture has, expected one "
        + "that sees pictures; it is converted without"
    case .tooFewTokens(let found, let expected):
      return
        "\(setting): found \(counted(found, "token")), expected at least \(expected): give more texts, or more "
        + "conversations and pictures"
    case .notFinite(let tensor, let count):
      return "\(name): input of tensor '\(tensor.escapedForDisplay())': "
        + counted(count, "value is", "values are") + " NaN or infinite, expected finite numbers: "
        + "the weights are damaged, or a layer overflows"
    case .needless(let scheme):
      return
        "\(setting): found \(scheme), expected a scheme whose codes are chosen, such as q4"
        + words.end(.keepStatisticsOnly)
    case .noRoom(let needed, let free):
      return
        "\(name): found \(Self.megabytes(free)) free, expected \(Self.megabytes(needed)) for the "
        + "model as it is, which tells what its matrices lose"
    }
  }

  package var exitStatus: ExitStatus {
    switch problem {
    case .lacks, .channels, .needless: .usage
    case .noRoom: .osError
    default: .badData
    }
  }
}

extension CalibrationError {
  private static func megabytes(_ bytes: Int) -> String { "\((bytes + 999_999) / 1_000_000) MB" }

  /// - Parameter free: bytes; nil where the system does not say.
  /// - Throws: `.noRoom`.
  static func requireRoom(_ needed: Int, free: Int?, in folder: String) throws(CalibrationError) {
    guard let free, free < needed else { return }
    throw CalibrationError(path: folder, .noRoom(needed: needed, free: free))
  }

  /// Some damage is left out; where it is more than what is left, the data are not what the user thinks.
  ///
  /// - Throws: the first of `defects` where nothing can be used, `.mostlyDamaged` for more than half.
  static func requireMost(usable: Int, defects: [CalibrationError]) throws(CalibrationError) {
    guard let first = defects.first else { return }
    if usable == 0 { throw first }
    let count = defects.reduce(0) { $0 + $1.count }
    guard count > usable else { return }
    throw CalibrationError(
      path: first.path,
      .mostlyDamaged(count: count, total: count + usable, first: first.description))
  }
}
