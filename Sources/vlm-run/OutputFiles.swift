import ArgumentParser
import VLMCheckpoint
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMText
import VLMZ

#if canImport(Glibc)
  import Glibc
#endif

/// The files that a run writes beside what it prints.
struct OutputFiles {
  let embed: String?
  let dump: String?
  let explain: String?
  let overwrite: Bool

  private var all: [String] { [embed, embedNames, dump, explain].compactMap { $0 } }
  var isEmpty: Bool { all.isEmpty }
  /// Whether there is one that has no place for a second image.
  var areOfOneImage: Bool { dump != nil || explain != nil }

  /// What the rows of a `.npy` file are of, beside it.
  private var embedNames: String? {
    guard let embed, embed.hasSuffix(".npy") else { return nil }
    return embed.dropLast(4) + ".json"
  }

  /// Checks names and destinations, so that what cannot be written is said before the work.
  ///
  /// - Parameter inputs: files that will be read, none of which an output may take the place of.
  /// - Throws: `ValidationError`; `FileError` for a file that exists or cannot be created.
  func check(besides inputs: [String]) throws {
    for input in inputs { InputFiles.add(path: input) }
    for path in all {
      guard all.count(where: { $0 == path }) == 1 else {
        throw ValidationError("\(path.escapedForDisplay()): found twice among the output files")
      }
      _ = try OutputFile(path: path, overwrite: overwrite)
    }
    if let embedNames { try Self.checkNames(embedNames) }
  }

  /// `--force` replaces a file of names only if it is one of ours: the user did not name that path.
  private static func checkNames(_ path: String) throws {
    guard let file = try? MappedFile(path: path, isInput: false) else { return }
    let start = Array(namesBegin.utf8)
    let isOurs = file.withBytes(0..<min(file.count, start.count)) { $0.elementsEqual(start) }
    guard isOurs || file.count == 0 else { throw InputError(path, .notNames) }
  }

  private static let namesBegin = #"{"schema":1,"rows":["#

  /// Rows of one width, to a `.npy` file or as the tensor `embedding`, and what they are of.
  ///
  /// - Parameters:
  ///   - texts: rows of the same width for the texts of `--labels`, the tensor `text_embedding`; a
  ///     `.npy` file, which holds one array, has them where there are no others.
  ///   - width: columns where every row failed.
  func write(_ table: EmbeddingTable, texts: EmbeddingTable.Texts, width: Int) throws {
    guard let embed else { return }
    let (values, columns) = table.values(width: width)
    let textValues = texts.rows.flatMap { $0 }
    let textShape = [texts.rows.count, texts.rows.first?.count ?? 0]
    if let embedNames {
      let isOfTexts = table.count == 0
      let array = try NumpyFile.prepare(
        path: embed, overwrite: overwrite, shape: isOfTexts ? textShape : [table.count, columns],
        values: isOfTexts ? textValues : values)
      let names = try OutputFile(path: embedNames, overwrite: overwrite)
      try names.write(Array((table.json(texts).serialized() + "\n").utf8))
      // Both are whole before either is in place.
      try names.sync()
      try array.sync()
      try names.commit()
      try array.commit()
      return
    }
    var tensors: [SafetensorsWriter.Entry] = []
    if table.count > 0 {
      tensors.append(.init(name: "embedding", shape: [table.count, columns], floats: values))
    }
    if !texts.rows.isEmpty {
      tensors.append(.init(name: "text_embedding", shape: textShape, floats: textValues))
    }
    try SafetensorsWriter.write(
      path: embed, overwrite: overwrite, metadata: table.metadata(texts), tensors: tensors)
  }

  func write(dumped tensors: [Recording.Tensor]) throws {
    guard let dump, !tensors.isEmpty else { return }
    try SafetensorsWriter.write(
      path: dump, overwrite: overwrite,
      tensors: tensors.map { tensor in
        guard Recording.holdsIDs(tensor.name) else {
          return .init(name: tensor.name, shape: tensor.shape, floats: tensor.values)
        }
        let integers = tensor.values.map { Int64($0) }
        return .init(
          name: tensor.name, dtype: .i64, shape: tensor.shape,
          bytes: integers.withUnsafeBytes { Array($0) })
      })
  }

  func write(_ explanation: Explanation?) throws {
    guard let explain, let canvas = explanation?.draw() else { return }
    guard let bytes = PNGEncoder.encode(canvas.pixels, width: canvas.width, height: canvas.height)
    else { throw FileError(path: explain, problem: .call("encode", errno: ENOMEM)) }
    let output = try OutputFile(path: explain, overwrite: overwrite)
    try output.write(bytes)
    try output.commit()
  }
}

/// What a model reports of one image or prompt, as far as the output files want it.
final class Recording {
  typealias Tensor = (name: String, shape: [Int], values: [Float])

  private(set) var tensors: [Tensor] = []
  private(set) var explanation: Explanation?
  private let dumps: Bool
  /// Names of intermediates in the file where they differ from the model's.
  private let names: [String: String]

  init(
    _ outputs: OutputFiles, _ preprocessing: Preprocessing?, names: [String: String] = [:]
  ) {
    dumps = outputs.dump != nil
    self.names = names
    if outputs.explain != nil {
      explanation = Explanation(normalization: preprocessing?.normalization ?? .none)
    }
  }

  /// Nil when no output file needs intermediates, which saves their copies.
  var observer: TowerObserver? {
    guard dumps || explanation != nil else { return nil }
    return { [self] seen in
      let (shape, values) = seen.planar
      add(seen.name, shape, values)
      explanation?.see(seen.role, shape, values)
    }
  }

  func add(_ name: String, _ shape: [Int], _ values: [Float]) {
    if dumps { tensors.append((names[name] ?? name, shape, values)) }
  }

  /// The similarities of an image to the texts of `--labels`.
  func add(textsOf session: Session, logits: [Float]?) {
    guard dumps, let texts = session.texts, let first = texts.embeddings.first, let logits else {
      return
    }
    func add(_ name: String, _ rows: [[Float]]) {
      tensors.append((name, [rows.count, rows[0].count], rows.flatMap { $0 }))
    }
    let ids = texts.ids.map { $0.map { Float($0) } }
    if Set(ids.map(\.count)).count == 1 { add("text_ids", ids) }
    // A row for each text; templates make several of a label.
    add("text_embedding_raw", texts.raw)
    tensors.append(
      ("text_embedding", [texts.embeddings.count, first.count], texts.embeddings.flatMap { $0 }))
    tensors.append(("logits", [1, logits.count], logits))
    let chances = ClassScores.probabilities(logits.map(Double.init), as: session.scores)
      .map { Float($0) }
    tensors.append(("probs", [1, chances.count], chances))
  }

  /// The tokens of an answer, in which the one that ended it counts, each with the logits that it
  /// was chosen from.
  func add(steps: [GenerationStep]) {
    guard dumps, let first = steps.first else { return }
    tensors.append(("gen_ids", [steps.count], steps.map { Float($0.token) }))
    let margins = steps.map { step in
      let best = step.logits.enumerated().max { $0.element < $1.element }
      let second = step.logits.indices.lazy.filter { $0 != best?.offset }.map { step.logits[$0] }
      return (best?.element ?? 0) - (second.max() ?? 0)
    }
    tensors.append(("gen_margins", [steps.count], margins))
    tensors.append(
      ("gen_logits", [steps.count, first.logits.count], steps.flatMap(\.logits)))
  }

  /// Whether a tensor's values are ids, which are whole numbers.
  static func holdsIDs(_ name: String) -> Bool {
    ["input_ids", "text_ids", "argmax_all", "gen_ids"].contains(name)
  }
}

extension Preprocessing.Normalization {
  /// Values from 0 to 1, as they are.
  fileprivate static let none = Preprocessing.Normalization(
    mean: [0, 0, 0], deviation: [1, 1, 1])
}
