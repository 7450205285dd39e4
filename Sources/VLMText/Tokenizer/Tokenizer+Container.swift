import VLMFoundation

/// The section `tokenizer` of a container; `formats/tokenizer.md` defines its layout.
extension Tokenizer {
  /// The version written for tokenizers with a step that version 1 lacks; older readers refuse it.
  private static let newVersion: UInt16 = 2
  /// The same of what version 2 lacks: unigram models, their character maps, padding in front.
  private static let newestVersion: UInt16 = 3
  private static let headerSize = 64
  private static let noID: UInt32 = 0xffff_ffff

  /// The bytes of the section; deterministic.
  package func serialized() -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(
      Self.headerSize + parts.text.count + 9 * count + 12 * parts.merges.count)
    func put<T: FixedWidthInteger>(_ value: T) {
      withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }
    let expressions = parts.steps.compactMap { step -> [UInt8]? in
      if case .expression(let expression) = step { Array(expression.source.utf8) } else { nil }
    }
    put(version)
    put(parts.algorithm.rawValue)
    put(prefix.rawValue)
    put(parts.flags.rawValue)
    put(UInt32(count))
    put(UInt32(parts.text.count))
    put(UInt32(parts.merges.count))
    put(UInt32(parts.added.count))
    put(UInt32(parts.normalizations.count + parts.steps.count))
    for id in [bos, eos, unknown, pad] { put(id.map { UInt32($0) } ?? Self.noID) }
    put(UInt32(parts.contextLength))
    put(UInt32(expressions.reduce(0) { $0 + 4 + $1.count }))
    put(UInt32(parts.characterMap?.bytes.count ?? 0))
    for _ in 0..<2 { put(UInt32(0)) }
    for end in parts.ends { put(end) }
    for score in parts.scores { put(score.bitPattern) }
    for merge in parts.merges {
      put(merge.left)
      put(merge.right)
      put(merge.result)
    }
    for token in parts.added {
      put(UInt32(token.id))
      put(token.flags.rawValue)
    }
    for normalization in parts.normalizations { put(normalization.rawValue) }
    for step in parts.steps { put(step.code) }
    for kind in parts.kinds { put(kind.rawValue) }
    bytes += parts.text
    for expression in expressions {
      put(UInt32(expression.count))
      bytes += expression
    }
    return bytes + (parts.characterMap?.bytes ?? [])
  }

  /// The lowest that can say what this tokenizer is.
  private var version: UInt16 {
    let isNewest =
      parts.algorithm == .unigram || parts.flags.contains(.padsLeft)
      || parts.normalizations.contains(where: \.isNewest)
    return isNewest
      ? Self.newestVersion : parts.steps.contains(where: \.isNew) ? Self.newVersion : 1
  }

  /// Reads and validates a section.
  ///
  /// - Parameter file: the container's path, for errors.
  package init(container bytes: [UInt8], file: String) throws(TextError) {
    let read = bytes.withUnsafeBytes { buffer in
      Result { () throws(TextError) in try Self.parts(buffer, file: file) }
    }
    try self.init(try read.get(), file: file)
  }

  private static func parts(
    _ buffer: UnsafeRawBufferPointer, file: String
  ) throws(TextError) -> TokenizerParts {
    func failure(_ place: String, _ found: String, _ expected: String) -> TextError {
      TextError(file: file, place: "tokenizer: " + place, .value(found: found, expected: expected))
    }
    guard buffer.count >= headerSize else {
      throw TextError(
        file: file, place: "tokenizer: header",
        .truncated(needed: headerSize, available: buffer.count))
    }
    func word(_ offset: Int) -> UInt32 {
      UInt32(littleEndian: buffer.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }
    let version = UInt16(truncatingIfNeeded: word(0))
    guard (1...Self.newestVersion).contains(version) else {
      throw failure("version", "\(version)", "1 to \(Self.newestVersion)")
    }
    let isNewest = version == Self.newestVersion
    guard let algorithm = TokenizerParts.Algorithm(rawValue: buffer[2]),
      algorithm != .unigram || isNewest
    else {
      throw failure("algorithm", "\(buffer[2])", isNewest ? "1 to 5" : "1 to 4")
    }
    guard let prefix = PrefixRule(rawValue: buffer[3]) else {
      throw failure("prefix", "\(buffer[3])", "0 to 3")
    }
    var parts = TokenizerParts(algorithm)
    parts.prefix = prefix
    parts.flags = TokenizerParts.Flags(rawValue: word(4))
    guard TokenizerParts.Flags.known.isSuperset(of: parts.flags),
      isNewest || !parts.flags.contains(.padsLeft)
    else {
      throw failure("flags", "\(word(4))", "known bits")
    }
    let (pieces, text, merges) = (Int(word(8)), Int(word(12)), Int(word(16)))
    let (added, steps) = (Int(word(20)), Int(word(24)))
    func id(_ offset: Int) -> Int? { word(offset) == noID ? nil : Int(word(offset)) }
    (parts.bos, parts.eos, parts.unknown, parts.pad) = (id(28), id(32), id(36), id(40))
    parts.contextLength = Int(word(44))
    let expressions = version == 1 ? 0 : Int(word(48))
    let map = isNewest ? Int(word(52)) : 0
    let used = version == 1 ? 48 : isNewest ? 56 : 52
    guard (used..<headerSize).allSatisfy({ buffer[$0] == 0 }) else {
      throw failure("reserved bytes", "others", "zeros")
    }
    // Every count is below 2^32, so the sum cannot overflow.
    let scores = algorithm.hasScores ? pieces : 0
    let size =
      headerSize + 4 * pieces + 4 * scores + 12 * merges + 8 * added + 4 * steps + pieces + text
      + expressions + map
    guard size == buffer.count else {
      throw failure("size", "\(buffer.count) bytes", "\(size)")
    }
    var at = headerSize
    func words(_ count: Int) -> [UInt32] {
      defer { at += 4 * count }
      return [UInt32](unsafeUninitializedCapacity: count) { words, filled in
        for index in 0..<count { words[index] = word(at + 4 * index) }
        filled = count
      }
    }
    parts.ends = words(pieces)
    parts.scores = words(scores).map { Float(bitPattern: $0) }
    parts.merges.reserveCapacity(merges)
    for _ in 0..<merges {
      parts.merges.append(.init(left: word(at), right: word(at + 4), result: word(at + 8)))
      at += 12
    }
    for _ in 0..<added {
      let flags = AddedToken.Flags(rawValue: word(at + 4))
      guard AddedToken.Flags.known.isSuperset(of: flags) else {
        throw failure("added token", "flags \(flags.rawValue)", "known bits")
      }
      parts.added.append(AddedToken(id: Int(word(at)), flags: flags))
      at += 8
    }
    if map > 0 {
      guard let read = CharacterMap(Array(buffer[(buffer.count - map)...])) else {
        throw failure("character map", "\(map) bytes that are none", "a trie and its texts")
      }
      parts.characterMap = read
    }
    let end = buffer.count - map
    var sources = ExpressionSources(
      UnsafeRawBufferPointer(rebasing: buffer[..<end]), from: end - expressions)
    for code in words(steps) {
      if let change = TextNormalization(rawValue: code), parts.steps.isEmpty,
        isNewest || !change.isNewest
      {
        parts.normalizations.append(change)
      } else if let step = PreTokenizer.Step(code: code), algorithm.isByteLevel,
        !step.isNew || version > 1
      {
        parts.steps.append(step)
      } else if let (behavior, isInverted) = PreTokenizer.Step.expression(code: code),
        version > 1, algorithm.isByteLevel, parts.steps.count < 16
      {
        guard let source = sources.next() else {
          throw failure("expression", "bytes that are none", "a length, and as much UTF-8")
        }
        do throws(ExpressionProblem) {
          parts.steps.append(.expression(try .init(source, behavior, isInverted: isInverted)))
        } catch {
          throw failure("expression \(source)", error.text, "one that can be used")
        }
      } else {
        throw failure(
          "step", "\(code)",
          (isNewest ? "7 to 11, 14 to 20" : "7 to 11")
            + (algorithm.isByteLevel ? ", then 0 to 6, 12 or 13" : ""))
      }
    }
    guard sources.isAtEnd else {
      throw failure("expressions", "more than steps for them", "one for each step")
    }
    parts.kinds.reserveCapacity(pieces)
    for index in 0..<pieces {
      guard let kind = PieceKind(rawValue: buffer[at + index]) else {
        throw failure("kind of piece \(index)", "\(buffer[at + index])", "1 to 6")
      }
      parts.kinds.append(kind)
    }
    at += pieces
    parts.text = Array(buffer[at..<at + text])
    return parts
  }
}

/// The expressions at the end of a section: for each, a length of four bytes and its UTF-8 text.
private struct ExpressionSources {
  private let buffer: UnsafeRawBufferPointer
  private var at: Int

  init(_ buffer: UnsafeRawBufferPointer, from start: Int) {
    self.buffer = buffer
    at = start
  }

  var isAtEnd: Bool { at == buffer.count }

  /// Nil if there is none, or if it is not valid text.
  mutating func next() -> String? {
    guard buffer.count - at >= 4 else { return nil }
    let count = Int(
      UInt32(littleEndian: buffer.loadUnaligned(fromByteOffset: at, as: UInt32.self)))
    guard (1...ExpressionSyntax.maximumLength).contains(count), count <= buffer.count - at - 4
    else { return nil }
    let bytes = buffer[at + 4..<at + 4 + count]
    at += 4 + count
    let text = String(decoding: bytes, as: UTF8.self)
    return text.utf8.elementsEqual(bytes) ? text : nil
  }
}
