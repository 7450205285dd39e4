/// A chat template: a program in the subset of Jinja that chat templates use.
///
/// The semantics are those of jinja2 3.1 in the environment of transformers' `apply_chat_template`:
/// sandboxed, only namespaces are mutable, `trim_blocks` and `lstrip_blocks` are on, with `break`
/// and `continue`, `{% generation %}`, `raise_exception`, `strftime_now`, and a `tojson` equal to
/// `json.dumps`. A template cannot access files, other templates or anything of the system except
/// the time, and its resources are limited.
package struct JinjaTemplate: Sendable {
  /// The limits for parsing and rendering.
  package let limits: JinjaLimits
  /// The variables that the template reads from the caller, in no order: `messages`, `tools` …
  package let freeNames: Set<String>
  /// String constants, and names after a dot: roles, keys, content types.
  package let words: Set<String>

  let body: [any JinjaStatement]
  let symbols: JinjaSymbols

  /// Parses a template.
  ///
  /// - Throws: `JinjaError` with the line of a syntax error, of an unsupported feature (`include`,
  ///   `import`, `extends`, `block`), or of an exceeded limit.
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

  /// Whether the template mentions `word` as a variable, a string constant or after a dot.
  package func mentions(_ word: String) -> Bool { freeNames.contains(word) || words.contains(word) }

  /// Renders the template.
  ///
  /// - Parameters:
  ///   - variables: the caller's variables: `messages`, `add_generation_prompt`, `bos_token` … The
  ///     last value of a repeated name counts.
  ///   - now: the time for `strftime_now`; nil for the local time.
  /// - Throws: `JinjaError`; `.raised` with the template's message if it calls `raise_exception`.
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

/// The output of a template, with the origin of each part.
package struct JinjaText: Sendable, Equatable {
  /// A run of text with one origin.
  package struct Run: Sendable, Equatable {
    package let text: String
    /// True if the characters come from a value given as user text, whatever operations the
    /// template applied; false if the template wrote them itself.
    package let isUserText: Bool

    package init(text: String, isUserText: Bool) {
      self.text = text
      self.isUserText = isUserText
    }
  }

  /// Non-empty runs of alternating origin.
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
