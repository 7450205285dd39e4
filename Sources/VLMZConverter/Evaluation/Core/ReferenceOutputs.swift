import VLMFoundation
import VLMModels
import VLMTensor
import VLMText
import VLMZ

/// What the reference made of items, kept in a file without a name until other models are compared
/// with it. Captions and what is known of each token are in memory.
final class ReferenceOutputs: OutputSink {
  /// Logits of a sequence, `[tokens, vocabulary]` in the file, with what is needed of each row.
  struct Predictions {
    let offset: Int
    var sums: [Double] = []
    var best: [Int] = []
  }

  /// Floats in the file.
  struct Stored {
    let offset: Int
    let count: Int
  }

  private let scratch: ScratchFile
  private(set) var captions: [[Float]] = []
  private var embeddings: [Int: Stored] = [:]
  private var logits: [Int: Stored] = [:]
  private var sights: [Int: [Stored]] = [:]
  private var predictions: [Int: Predictions] = [:]
  private(set) var skipped: [(item: EvaluationItems.Item, error: any ReportableError)] = []
  private var left: Set<EvaluationItems.Item> = []
  /// Columns of logits; 0 before there are any.
  private(set) var vocabulary = 0

  /// - Throws: `FileError` where no file can be made, `EvaluationError` where the disk has no room.
  init(in folder: String, expecting bytes: Int) throws {
    if let free = ScratchFile.freeByteCount(in: folder), free < bytes {
      throw EvaluationError(.noRoom(folder: folder, needed: bytes, free: free))
    }
    scratch = try ScratchFile(in: folder)
    try scratch.reserve(bytes)
  }

  /// Bytes that the outputs of a model take on the disk, about.
  static func byteCount(of model: Model, _ items: EvaluationItems) -> Int {
    guard let language = model.language else {
      let (width, classes) = (
        model.vision?.embeddingWidth ?? 0, model.description.classCount ?? 0
      )
      return items.pictures.count * (width + classes) * MemoryLayout<Float>.stride
    }
    let tokens = items.sequences.reduce(0) { $0 + $1.countedTokens }
    var floats = tokens * language.layers.config.vocabulary
    let sights = items.sequences.reduce(0) { $0 + $1.pictures.count }
    floats += sights * language.usualVisualTokens * language.layers.config.hidden
    return floats * MemoryLayout<Float>.stride
  }

  /// Bytes on the disk.
  var byteCount: Int { scratch.count }

  // MARK: - Taking

  func wants(_ item: EvaluationItems.Item) -> Bool { !left.contains(item) }

  func skip(_ item: EvaluationItems.Item, _ error: any ReportableError) {
    skipped.append((item, error))
    left.insert(item)
  }

  func take(picture index: Int, _ output: ImageVector) throws {
    embeddings[index] = try store(output.embedding)
    if let values = output.logits { logits[index] = try store(values) }
  }

  func take(caption index: Int, _ embedding: [Float]) throws { captions.append(embedding) }

  func take(visualTokens: VisualTokens, picture: Int, ofSequence index: Int) throws {
    sights[index, default: []].append(try store(visualTokens.rows.array()))
  }

  func take(logits: MatrixView, first: Int, ofSequence index: Int) throws {
    vocabulary = logits.columns
    let offset = scratch.count
    var found = predictions[index] ?? Predictions(offset: offset)
    for row in 0..<logits.rows {
      try logits.withRow(row) { values in
        try scratch.append(floats: values)
        found.sums.append(TokenProbabilities.logSum(values))
        found.best.append(Sampler.largest(values) ?? 0)
      }
    }
    predictions[index] = found
  }

  private func store(_ values: [Float]) throws -> Stored {
    let offset = try values.withUnsafeBufferPointer { try scratch.append(floats: $0) }
    return Stored(offset: offset, count: values.count)
  }

  // MARK: - Giving back

  /// Whether there is something of an item to compare with.
  func has(_ item: EvaluationItems.Item) -> Bool {
    switch item {
    case .picture(let index): embeddings[index] != nil
    case .sequence(let index): predictions[index] != nil
    }
  }

  /// Whether nothing was made of anything.
  var isEmpty: Bool {
    captions.isEmpty && embeddings.isEmpty && predictions.isEmpty
  }

  /// What was made of a picture; nil where it was skipped.
  func output(ofPicture index: Int) throws -> ImageVector? {
    guard let embedding = embeddings[index] else { return nil }
    return ImageVector(
      embedding: try values(embedding), logits: try logits[index].map { try values($0) })
  }

  /// The visual tokens of a picture of a sequence, row by row; nil where there are none.
  func visualTokens(ofPicture picture: Int, sequence index: Int) throws -> [Float]? {
    guard let stored = sights[index], picture < stored.count else { return nil }
    return try values(stored[picture])
  }

  /// What is known of a sequence's tokens; nil where it was skipped.
  func predictions(ofSequence index: Int) -> Predictions? { predictions[index] }

  /// Logits of `count` tokens of a sequence, row by row.
  func logits(_ predictions: Predictions, first: Int, count: Int) throws -> [Float] {
    let row = vocabulary * MemoryLayout<Float>.stride
    return try scratch.floats(at: predictions.offset + first * row, count: count * vocabulary)
  }

  private func values(_ stored: Stored) throws -> [Float] {
    try scratch.floats(at: stored.offset, count: stored.count)
  }
}
