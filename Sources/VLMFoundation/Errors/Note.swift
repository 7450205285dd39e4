/// What a person should know of a checkpoint or a conversion: one line, as a `Wording` has it.
///
/// A literal is a note that reads the same for everybody.
package struct Note: Sendable, CustomStringConvertible {
  private let text: @Sendable (Wording) -> String
  /// Whether this is as it should be with such a file, and no reason to look again.
  package let isExpected: Bool

  private init(isExpected: Bool = false, text: @escaping @Sendable (Wording) -> String) {
    (self.isExpected, self.text) = (isExpected, text)
  }

  /// The same about what is as it should be.
  package var expected: Note { Note(isExpected: true, text: text) }

  /// - Parameter remedy: what can be done about it.
  package init(_ text: String, _ remedy: Remedy? = nil) {
    self.init { text + $0.end(remedy) }
  }

  /// A note about something that was set.
  package init(_ setting: Setting, _ text: String) {
    self.init { "\($0.name(of: setting)): \(text)" }
  }

  /// What a setting was given.
  package init(_ setting: Setting, are values: String) {
    self.init { "\($0.name(of: setting)) \(values)" }
  }

  /// A note about an error that ended nothing, between `lead` and `end`.
  package init(_ lead: String = "", _ error: any Error, _ end: String = "") {
    self.init { words in
      let line = (error as? any ReportableError)?.description(in: words) ?? "\(error)"
      return lead + line + end
    }
  }

  /// The same with `lead` in front.
  package func following(_ lead: String) -> Note {
    Note(isExpected: isExpected) { lead + text($0) }
  }

  /// The line in the given words.
  package func description(in words: Wording) -> String { text(words) }

  /// The line in a library's words.
  package var description: String { description(in: .library) }
}

extension Note: ExpressibleByStringInterpolation {
  package init(stringLiteral value: String) { self.init(value) }
}

extension Note: Equatable {
  package static func == (a: Note, b: Note) -> Bool { a.description == b.description }
}

extension [Note] {
  /// Appends what reads the same for everybody.
  package mutating func append(_ text: String) { append(Note(text)) }
}
