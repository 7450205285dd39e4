/// A chat template: a program in the part of Jinja that chat templates use.
///
/// It means what it means to jinja2 3.1 in the environment of transformers' `apply_chat_template`:
/// sandboxed, nothing can be changed but namespaces, `trim_blocks` and `lstrip_blocks` are on,
/// `break` and `continue`, `{% generation %}`, `raise_exception`, `strftime_now`, a `tojson` that
/// writes what `json.dumps` does. It reaches no file, no other template and nothing of the system but
/// the time, and it is held to its limits.
package struct JinjaTemplate: Sendable {
  /// What it may cost to read and to render.
  package let limits: JinjaLimits
  /// Variables that are looked up in what the caller gives, in no order: `messages`, `tools` …
  package let freeNames: Set<String>
  /// String constants of the program and names after a dot: roles, keys, types of content.
  package let words: Set<String>

  let body: [any JinjaStatement]
  let symbols: JinjaSymbols

  /// Reads a program.
  ///
  /// - Throws: `JinjaError` with the line where it cannot be read, where it uses what is not
  ///   offered here (`include`, `import`, `extends`, `block`), or where it passes a limit.
  package init(_ source: String, limits: JinjaLimits = JinjaLimits()) throws(JinjaError) {
    guard source.utf8.count <= limits.maximumSourceBytes else {
      throw JinjaError(
        line: 1,
        .limit(.sourceBytes, found: source.utf8.count, expected: limits.maximumSourceBytes))
    }
    let read = try JinjaStack.run {
      () throws(JinjaError) -> (parser: JinjaParser, body: [any JinjaStatement]) in
      var parser = JinjaParser(
        try JinjaLexer.tokens(of: source), maximumDepth: limits.maximumNesting)
      let body = try parser.parse()
      return (parser: parser, body: body)
    }
    body = read.body
    symbols = read.parser.symbols
    freeNames = read.parser.freeNames
    words = read.parser.words
    self.limits = limits
  }

  /// Whether the program speaks of `word`, as a variable, as a string constant or after a dot.
  package func mentions(_ word: String) -> Bool { freeNames.contains(word) || words.contains(word) }

  /// Runs the program.
  ///
  /// - Parameters:
  ///   - variables: what it can look up: `messages`, `add_generation_prompt`, `bos_token` …
  ///     A name that is given twice has its last value.
  ///   - now: what `strftime_now` takes for now; the local time where it is nil.
  /// - Throws: `JinjaError`: `.raised` with the program's own message where it calls
  ///   `raise_exception`.
  package func render(
    _ variables: [(name: String, value: JinjaValue)], now: JinjaTime? = nil
  ) throws(JinjaError) -> JinjaText {
    try JinjaStack.run { () throws(JinjaError) -> JinjaText in
      let interpreter = JinjaInterpreter(symbols: symbols, limits: limits, now: now)
      try interpreter.define(variables)
      return try JinjaText(scalars: interpreter.run(body))
    }
  }
}

/// What a template wrote, and which parts of it came from the caller's text.
package struct JinjaText: Sendable, Equatable {
  /// A stretch that is all of one origin.
  package struct Run: Sendable, Equatable {
    package let text: String
    /// True where the letters are those of a value that was given as user text, whatever the
    /// program did with them in between; false where the program wrote them itself.
    package let isUserText: Bool

    package init(text: String, isUserText: Bool) {
      self.text = text
      self.isUserText = isUserText
    }
  }

  /// Not empty each, and of alternating origin.
  package let runs: [Run]

  package init(runs: [Run]) { self.runs = runs }

  /// The whole text.
  package var string: String { runs.map(\.text).joined() }

  init(scalars: [UInt32]) {
    var runs: [Run] = []
    var start = 0
    while start < scalars.count {
      let mark = scalars[start] & JinjaString.userMark
      var end = start + 1
      while end < scalars.count, scalars[end] & JinjaString.userMark == mark { end += 1 }
      runs.append(
        Run(text: JinjaString.string(of: scalars[start..<end]), isUserText: mark != 0))
      start = end
    }
    self.runs = runs
  }
}
