/// An error that can be shown: one line, and the status that a command exits with.
///
/// The line is `<file>: <place>: <what is wrong>, found, expected`, lower case, no full stop, with
/// control characters escaped. What a caller can set, and what helps, is named as `Wording` has it.
package protocol ReportableError: Error, CustomStringConvertible, Sendable {
  var exitStatus: ExitStatus { get }

  /// The line in the given words.
  func description(in words: Wording) -> String
}

extension ReportableError {
  /// The line in a library's words.
  package var description: String { description(in: .library) }
}
