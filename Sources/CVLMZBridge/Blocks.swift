import CVLMZ
import VLMZ

#if canImport(Glibc)
  import Glibc
#endif

/// Results in memory of `malloc`, one block each, which `vlmz_free` gives back.
enum Block {
  /// - Throws: `.noMemory`.
  static func allocate(_ byteCount: Int) throws -> UnsafeMutableRawPointer {
    guard let memory = malloc(max(1, byteCount)) else {
      throw VLMZError(.noMemory, "result: found no memory for \(byteCount) bytes")
    }
    return memory
  }

  /// A text with a zero byte behind it.
  static func text(_ text: String) throws -> UnsafeMutablePointer<CChar> {
    let memory = try allocate(text.utf8.count + 1)
    write(text, to: memory)
    return memory.assumingMemoryBound(to: CChar.self)
  }

  static func floats(_ values: [Float]) throws -> UnsafeMutablePointer<Float> {
    let memory = try allocate(values.count * MemoryLayout<Float>.stride)
    let floats = memory.bindMemory(to: Float.self, capacity: values.count)
    values.withUnsafeBufferPointer { source in
      if let base = source.baseAddress { floats.initialize(from: base, count: values.count) }
    }
    return floats
  }

  /// Candidates, and behind them the labels that they point to.
  static func candidates(
    _ candidates: [Classification.Candidate]
  ) throws -> UnsafeMutablePointer<vlmz_candidate> {
    let size = candidates.count * MemoryLayout<vlmz_candidate>.stride
    let labels = candidates.reduce(0) { $0 + ($1.label?.utf8.count ?? 0) + 1 }
    let memory = try allocate(size + labels)
    let array = memory.bindMemory(to: vlmz_candidate.self, capacity: candidates.count)
    var next = memory + size
    for (index, candidate) in candidates.enumerated() {
      var label: UnsafePointer<CChar>?
      if let text = candidate.label {
        label = UnsafePointer(next.assumingMemoryBound(to: CChar.self))
        next = write(text, to: next)
      }
      (array + index).initialize(
        to: vlmz_candidate(label: label, score: candidate.score, index: candidate.index))
    }
    return array
  }

  /// Features, behind them their values, and behind those their names.
  static func features(_ features: [Feature]) throws -> UnsafeMutablePointer<vlmz_feature> {
    let size = features.count * MemoryLayout<vlmz_feature>.stride
    let valueBytes = features.reduce(0) { $0 + $1.values.count * MemoryLayout<Float>.stride }
    let names = features.reduce(0) { $0 + $1.name.utf8.count + 1 }
    let memory = try allocate(size + valueBytes + names)
    let array = memory.bindMemory(to: vlmz_feature.self, capacity: features.count)
    var (values, name) = (memory + size, memory + size + valueBytes)
    for (index, feature) in features.enumerated() {
      let floats = values.bindMemory(to: Float.self, capacity: feature.values.count)
      feature.values.withUnsafeBufferPointer { source in
        if let base = source.baseAddress { floats.initialize(from: base, count: source.count) }
      }
      // No feature has more extents than a map.
      let shape =
        feature.shape.prefix(4) + Array(repeating: 1, count: max(0, 4 - feature.shape.count))
      (array + index).initialize(
        to: vlmz_feature(
          name: UnsafePointer(name.assumingMemoryBound(to: CChar.self)),
          values: UnsafePointer(floats), shape: (shape[0], shape[1], shape[2], shape[3]),
          rank: feature.shape.count))
      values += feature.values.count * MemoryLayout<Float>.stride
      name = write(feature.name, to: name)
    }
    return array
  }

  /// An answer, and behind it the text that it points to.
  static func answer(_ answer: Answer) throws -> UnsafeMutablePointer<vlmz_answer> {
    let size = MemoryLayout<vlmz_answer>.stride
    let memory = try allocate(size + answer.text.utf8.count + 1)
    let result = memory.bindMemory(to: vlmz_answer.self, capacity: 1)
    write(answer.text, to: memory + size)
    result.initialize(
      to: vlmz_answer(
        text: UnsafePointer((memory + size).assumingMemoryBound(to: CChar.self)),
        length: answer.text.utf8.count, ending: answer.ending.number,
        tokens: Int32(clamping: answer.tokens.count),
        prompt_tokens: Int32(clamping: answer.promptTokenCount),
        picture_tokens: Int32(clamping: answer.visualTokenCount),
        reused_tokens: Int32(clamping: answer.timings.reusedTokens),
        prompt_seconds: answer.timings.promptSeconds, token_seconds: answer.timings.stepSeconds,
        proposed_tokens: Int32(clamping: answer.timings.proposedTokens),
        accepted_tokens: Int32(clamping: answer.timings.acceptedTokens)))
    return result
  }

  /// - Returns: the place behind the zero byte.
  @discardableResult
  private static func write(
    _ text: String, to memory: UnsafeMutableRawPointer
  ) -> UnsafeMutableRawPointer {
    let count = text.utf8.count
    UnsafeMutableRawBufferPointer(start: memory, count: count).copyBytes(from: text.utf8)
    memory.storeBytes(of: 0, toByteOffset: count, as: UInt8.self)
    return memory + count + 1
  }
}

extension Answer.Ending {
  fileprivate var number: Int32 {
    let number =
      switch self {
      case .stopToken: VLMZ_ENDING_STOP_TOKEN
      case .complete: VLMZ_ENDING_COMPLETE
      case .stopString: VLMZ_ENDING_STOP_TEXT
      case .length: VLMZ_ENDING_LENGTH
      case .context: VLMZ_ENDING_CONTEXT
      case .cancelled: VLMZ_ENDING_CANCELLED
      }
    return Int32(number)
  }
}
