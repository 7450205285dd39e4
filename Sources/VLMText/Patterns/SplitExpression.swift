import CCodecs

#if canImport(Glibc)
  import Glibc
#endif

/// A regular expression that splits text, with the treatment of its matches: the `Split`
/// pre-tokenizer of the `tokenizers` library, for arbitrary expressions. `ExpressionSyntax` defines
/// the supported syntax.
package struct SplitExpression: Sendable, Equatable {
  package enum Behavior: UInt32, Sendable {
    /// Matches and the text between them are separate words.
    case isolated = 0
    /// Matches are removed.
    case removed = 1
    /// A match is merged with the previous word, or with the next one.
    case mergedWithPrevious = 2
    case mergedWithNext = 3
    /// Adjacent matches form one word.
    case contiguous = 4
  }

  let source: String
  let behavior: Behavior
  /// Whether the text between the matches takes their role.
  let isInverted: Bool
  let program: ExpressionProgram

  /// - Throws: `ExpressionProblem` if the expression is invalid, or cannot be translated faithfully
  ///   to PCRE2.
  init(
    _ source: String, _ behavior: Behavior = .isolated, isInverted: Bool = false
  ) throws(ExpressionProblem) {
    self.source = source
    self.behavior = behavior
    self.isInverted = isInverted
    program = try ExpressionProgram(ExpressionSyntax.rewritten(source))
  }

  /// The expression that matches exactly `text`.
  static func literal(_ text: String) -> String {
    text.unicodeScalars.map { scalar in
      ("\u{21}"..."\u{7e}").contains(scalar) && !scalar.properties.isAlphabetic
        ? "\\\(scalar)"
        : String(scalar)
    }.joined()
  }

  package static func == (a: SplitExpression, b: SplitExpression) -> Bool {
    a.source.hasSameBytes(as: b.source) && a.behavior == b.behavior
      && a.isInverted == b.isInverted
  }

  /// The non-empty words into which `matches` split a text of `count` bytes.
  ///
  /// - Parameter matches: ascending and disjoint.
  func words(_ matches: [Range<Int>], count: Int) -> [Range<Int>] {
    var parts: [(range: Range<Int>, isMatch: Bool)] = []
    var start = 0
    for match in matches {
      if match.lowerBound > start { parts.append((start..<match.lowerBound, isInverted)) }
      parts.append((match, !isInverted))
      start = match.upperBound
    }
    if start < count { parts.append((start..<count, isInverted)) }
    return joined(parts).filter { !$0.isEmpty }
  }

  private func joined(_ parts: [(range: Range<Int>, isMatch: Bool)]) -> [Range<Int>] {
    switch behavior {
    case .isolated: return parts.map(\.range)
    case .removed: return parts.filter { !$0.isMatch }.map(\.range)
    case .mergedWithPrevious, .contiguous:
      var words: [Range<Int>] = []
      var previous = false
      for part in parts {
        let joins =
          behavior == .contiguous ? part.isMatch == previous : part.isMatch && !previous
        if joins, let last = words.last {
          words[words.count - 1] = last.lowerBound..<part.range.upperBound
        } else {
          words.append(part.range)
        }
        previous = part.isMatch
      }
      return words
    case .mergedWithNext:
      var words: [Range<Int>] = []
      var next = false
      for part in parts.reversed() {
        if part.isMatch, !next, let last = words.last {
          words[words.count - 1] = part.range.lowerBound..<last.upperBound
        } else {
          words.append(part.range)
        }
        next = part.isMatch
      }
      return words.reversed()
    }
  }
}

/// A compiled expression. Immutable, so threads may share it.
final class ExpressionProgram: @unchecked Sendable {
  fileprivate let code: OpaquePointer

  /// PCRE2 limits the compiled size to 64 KiB, whatever the quantifiers.
  private static let maximumLength = 1 << 19
  private static let maximumDepth: UInt32 = 200

  /// - Parameter pattern: PCRE2 syntax.
  init(_ pattern: String) throws(ExpressionProblem) {
    guard let context = pcre2_compile_context_create_8(nil) else {
      throw ExpressionProblem(text: "out of memory")
    }
    defer { pcre2_compile_context_free_8(context) }
    pcre2_set_newline_8(context, UInt32(PCRE2_NEWLINE_LF))
    pcre2_set_max_pattern_length_8(context, Self.maximumLength)
    pcre2_set_parens_nest_limit_8(context, Self.maximumDepth)
    var (error, offset): (Int32, Int) = (0, 0)
    let options = PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C
    let bytes = Array(pattern.utf8)
    let made = pcre2_compile_8(bytes, bytes.count, options, &error, &offset, context)
    guard let made else {
      var message = [UInt8](repeating: 0, count: 256)
      let length = pcre2_get_error_message_8(error, &message, message.count)
      let text = String(decoding: message.prefix(max(0, Int(length))), as: UTF8.self)
      throw ExpressionProblem(text: text)
    }
    // If JIT compilation is forbidden by the system, matching is slower with the same result.
    _ = pcre2_jit_compile_8(made, PCRE2_JIT_COMPLETE)
    code = made
  }

  deinit { pcre2_code_free_8(code) }
}

/// Finds matches of expressions. Owns the match memory; used by one thread at a time.
///
/// The cost of a text is bounded for any expression. Most matches take few steps, so the limit per
/// match is low. When it is reached it is raised, a limited number of times per text, and by less
/// in a long text, because one step may scan all of it. Repetitions that PCRE2 does not count as
/// steps are bounded by the thread's CPU time.
final class ExpressionMatcher {
  private let data: OpaquePointer
  private let context: OpaquePointer
  private let stack: OpaquePointer?
  /// Remaining number of matches with the raised limit.
  private var allowance = 64
  /// Deadline of the encoding in CPU time of this thread, in nanoseconds.
  private var deadline = ExpressionMatcher.now() + 5_000_000_000
  private var matchesUntilCheck = ExpressionMatcher.checkInterval

  private static let checkInterval = 64
  private static let nanosecondsPerByte = 5000
  private static let fewSteps: UInt32 = 20_000
  private static let manySteps = 10_000_000
  /// Limit of steps times bytes for one match beyond `fewSteps`.
  private static let maximumWork = 1 << 34
  private static let maximumStack = 64 << 20
  /// Limits of the interpreter, used without JIT: match depth, and heap in KiB.
  private static let maximumDepth: UInt32 = 1_000_000
  private static let maximumHeap: UInt32 = 64 << 10

  /// - Returns: nil if memory cannot be allocated.
  init?() {
    guard let data = pcre2_match_data_create_8(1, nil) else { return nil }
    guard let context = pcre2_match_context_create_8(nil) else {
      pcre2_match_data_free_8(data)
      return nil
    }
    self.data = data
    self.context = context
    stack = pcre2_jit_stack_create_8(32 << 10, Self.maximumStack, nil)
    pcre2_jit_stack_assign_8(context, nil, stack.map { UnsafeMutableRawPointer($0) })
    pcre2_set_depth_limit_8(context, Self.maximumDepth)
    pcre2_set_heap_limit_8(context, Self.maximumHeap)
  }

  deinit {
    if let stack { pcre2_jit_stack_free_8(stack) }
    pcre2_match_context_free_8(context)
    pcre2_match_data_free_8(data)
  }

  /// Extends the limits for encoding `bytes` more bytes.
  func begin(count: Int) {
    allowance += count / 1024
    deadline += Self.nanosecondsPerByte * count
  }

  private static func now() -> Int {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return time.tv_sec * 1_000_000_000 + time.tv_nsec
  }

  private func checkTime(_ expression: SplitExpression) throws(TextError) {
    matchesUntilCheck -= 1
    guard matchesUntilCheck <= 0 else { return }
    matchesUntilCheck = Self.checkInterval
    guard Self.now() <= deadline else { throw Self.failure(expression, .steps) }
  }

  private static func failure(
    _ expression: SplitExpression, _ problem: TextError.Problem
  ) -> TextError {
    TextError(
      file: "tokenizer", place: "pre_tokenizer: the expression \(expression.source)", problem)
  }

  /// The matches in `text`, in order. An empty match directly after another match is skipped.
  ///
  /// - Throws: `TextError` if matching exceeds the limits.
  func matches(
    _ expression: SplitExpression, _ text: [UInt8]
  ) throws(TextError) -> [Range<Int>] {
    let found = text.withUnsafeBufferPointer { bytes in
      Result { () throws(TextError) in try matches(expression, bytes) }
    }
    return try found.get()
  }

  private func matches(
    _ expression: SplitExpression, _ text: UnsafeBufferPointer<UInt8>
  ) throws(TextError) -> [Range<Int>] {
    guard let base = text.baseAddress, let ends = pcre2_get_ovector_pointer_8(data) else {
      return []
    }
    var found: [Range<Int>] = []
    var start = 0
    // The first call validates the whole text as UTF-8.
    var options: UInt32 = 0
    while start <= text.count {
      try checkTime(expression)
      guard try match(expression, base, text.count, start, options) else { break }
      options = PCRE2_NO_UTF_CHECK
      let range = ends[0]..<ends[1]
      if range.isEmpty, found.last?.upperBound == range.upperBound {
        guard start < text.count else { break }
        start += UTF8Text.sequenceLength(text[start])
      } else {
        found.append(range)
        start = range.upperBound
      }
    }
    return found
  }

  private func match(
    _ expression: SplitExpression, _ base: UnsafePointer<UInt8>, _ count: Int, _ start: Int,
    _ options: UInt32
  ) throws(TextError) -> Bool {
    let code = expression.program.code
    pcre2_set_match_limit_8(context, Self.fewSteps)
    var result = pcre2_match_8(code, base, count, start, options, data, context)
    if result == PCRE2_ERROR_MATCHLIMIT, allowance > 0 {
      allowance -= 1
      let steps = min(Self.manySteps, max(Int(Self.fewSteps), Self.maximumWork / max(1, count)))
      pcre2_set_match_limit_8(context, UInt32(steps))
      result = pcre2_match_8(code, base, count, start, options, data, context)
    }
    if result >= 0 { return true }
    if result == PCRE2_ERROR_NOMATCH { return false }
    let isInvalid = (PCRE2_ERROR_UTF8_ERR21...PCRE2_ERROR_UTF8_ERR1).contains(result)
    throw Self.failure(
      expression,
      isInvalid ? .value(found: "bytes that are no UTF-8", expected: "text") : .steps)
  }
}
