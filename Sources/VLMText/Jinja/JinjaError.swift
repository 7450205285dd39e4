import VLMFoundation

/// Why a template cannot be parsed, or why its execution failed.
package struct JinjaError: Error, Equatable, Sendable, CustomStringConvertible {
  package enum Problem: Sendable, Equatable {
    /// A syntax error.
    case syntax(String)
    /// A feature of Jinja or Python that is not supported.
    case unsupported(String)
    /// `found` was found instead of `expected`.
    case unexpected(found: String, expected: String)
    /// An undefined value was used; the text is jinja2's.
    case undefined(String)
    /// An invalid operation; the text is Python's.
    case value(String)
    /// The template called `raise_exception`; the payload is its message.
    case raised(String)
    case limit(Limit, found: Int, expected: Int)
    /// No thread could be created.
    case noThread
  }

  /// The limit that was exceeded, see `JinjaLimits`.
  package enum Limit: String, Sendable, Equatable {
    case sourceBytes = "bytes of template"
    case nesting = "levels of nesting"
    case depth = "levels of calls and loops"
    case steps = "steps"
    case output = "characters of output"
    case memory = "bytes of values"
    case valueDepth = "levels of values within values"
  }

  /// The line of the template, from 1.
  package let line: Int
  package let problem: Problem

  package init(line: Int, _ problem: Problem) {
    self.line = line
    self.problem = problem
  }

  /// One line, without the file's name, which the caller adds.
  package var description: String { "line \(line): \(text)" }

  private var text: String {
    switch problem {
    case .syntax(let what): what.escapedForDisplay()
    case .unsupported(let what): "\(what.escapedForDisplay()) is not supported"
    case .unexpected(let found, let expected):
      "found \(found.escapedForDisplay(limit: 80)), expected \(expected.escapedForDisplay())"
    case .undefined(let what), .value(let what): what.escapedForDisplay()
    case .raised(let message): "the template refuses: \(message.escapedForDisplay(limit: 400))"
    case .limit(let limit, let found, let expected):
      "found \(found) \(limit.rawValue), expected at most \(expected)"
    case .noThread: "the system refuses a thread to run it on"
    }
  }
}

/// Resource limits of a template. Templates are untrusted programs.
package struct JinjaLimits: Sendable, Equatable {
  /// Maximum bytes of the template. Published ones are below 40,000.
  package var maximumSourceBytes: Int
  /// Maximum nesting of blocks and brackets in the source. Published templates have fewer than 20.
  package var maximumNesting: Int
  /// Maximum nesting of blocks, expressions and macro calls at run time. The stack is large enough
  /// for the default.
  package var maximumDepth: Int
  /// Maximum steps: statements, expressions, elements, and every eight characters processed; slower
  /// operations count as several. The default takes about a second. Each character of the caller's
  /// input allows `stepsPerCharacter` more.
  package var maximumSteps: Int
  /// Maximum characters of output.
  package var maximumOutput: Int
  /// Maximum total bytes of intermediate strings and lists.
  package var maximumMemory: Int

  package init(
    maximumSourceBytes: Int = 1 << 20, maximumNesting: Int = 64, maximumDepth: Int = 256,
    maximumSteps: Int = 2_500_000, maximumOutput: Int = 64 << 20, maximumMemory: Int = 512 << 20
  ) {
    self.maximumSourceBytes = maximumSourceBytes
    self.maximumNesting = maximumNesting
    self.maximumDepth = maximumDepth
    self.maximumSteps = maximumSteps
    self.maximumOutput = maximumOutput
    self.maximumMemory = maximumMemory
  }

  /// Published programs take one or two.
  static let stepsPerCharacter = 4

  /// Maximum nesting of lists and dictionaries.
  static let maximumValueDepth = 80
}
