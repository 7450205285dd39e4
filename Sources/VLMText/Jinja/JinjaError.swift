import VLMFoundation

/// Why a template cannot be read, or why it stopped.
package struct JinjaError: Error, Equatable, Sendable, CustomStringConvertible {
  package enum Problem: Sendable, Equatable {
    /// The program cannot be read.
    case syntax(String)
    /// Something of Jinja, or of Python behind it, that is not offered here.
    case unsupported(String)
    /// `found` stands where `expected` would have to.
    case unexpected(found: String, expected: String)
    /// Something was done with a value that is not there; the text is jinja2's.
    case undefined(String)
    /// Something was done with a value that it does not allow; the text is Python's.
    case value(String)
    /// The program itself refused, with `raise_exception`; the text is its message.
    case raised(String)
    case limit(Limit, found: Int, expected: Int)
    /// The system has no thread for it.
    case noThread
  }

  /// What is bounded: see `JinjaLimits`.
  package enum Limit: String, Sendable, Equatable {
    case sourceBytes = "bytes of template"
    case nesting = "levels of nesting"
    case depth = "levels of calls and loops"
    case steps = "steps"
    case output = "characters of output"
    case memory = "bytes of values"
    case valueDepth = "levels of values within values"
  }

  /// The line of the program, from 1.
  package let line: Int
  package let problem: Problem

  package init(line: Int, _ problem: Problem) {
    self.line = line
    self.problem = problem
  }

  /// One line, without the file's name, which is the caller's to add.
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

/// What a template may cost. Each bound exists because the program comes from a stranger.
package struct JinjaLimits: Sendable, Equatable {
  /// Bytes of the program. Published ones are below 40,000.
  package var maximumSourceBytes: Int
  /// Blocks and brackets within each other in the program. Published ones have fewer than 20.
  package var maximumNesting: Int
  /// Blocks, expressions and macro calls within each other while it runs. The stack holds the
  /// default.
  package var maximumDepth: Int
  /// Statements, expressions, elements and every eight characters that are gone through; things that
  /// take longer count as several. The default is some second of work. Each character that the caller
  /// gives allows `stepsPerCharacter` more.
  package var maximumSteps: Int
  /// Characters of output.
  package var maximumOutput: Int
  /// Bytes of the strings and lists that are made on the way, all together.
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

  /// Lists and dictionaries within each other.
  static let maximumValueDepth = 80
}
