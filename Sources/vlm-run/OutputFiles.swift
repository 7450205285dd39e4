import ArgumentParser
import VLMCheckpoint
import VLMInput
import VLMRuntime
import VLMTensor

#if canImport(Glibc)
  import Glibc
#endif

/// The files that a run writes beside what it prints.
struct OutputFiles {
  let embed: String?
  let dump: String?
  let explain: String?
  let overwrite: Bool

  private var all: [String] { [embed, dump, explain].compactMap { $0 } }
  var isEmpty: Bool { all.isEmpty }

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
  }

  /// Rows of `columns` values, to a `.npy` file or as the tensor `embedding`.
  ///
  /// - Parameter texts: rows of the same width for the texts of `--labels`, the tensor
  ///   `text_embedding`; a `.npy` file, which holds one array, has them where there are no others.
  func write(embeddings: [[Float]], texts: [[Float]] = []) throws {
    guard let embed else { return }
    if embed.hasSuffix(".npy") {
      let rows = embeddings.isEmpty ? texts : embeddings
      try NumpyFile.write(
        path: embed, overwrite: overwrite, shape: [rows.count, rows.first?.count ?? 0],
        values: rows.flatMap { $0 })
      return
    }
    let tensors = [("embedding", embeddings), ("text_embedding", texts)].filter { !$0.1.isEmpty }
    try SafetensorsWriter.write(
      path: embed, overwrite: overwrite,
      tensors: tensors.map { name, rows in
        .init(name: name, shape: [rows.count, rows[0].count], floats: rows.flatMap { $0 })
      })
  }

  func write(dumped tensors: [Recording.Tensor]) throws {
    guard let dump else { return }
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
  /// What some of the model's names are called in the file.
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

  /// Nil when nobody looks, which saves the model the copies.
  var observer: ((_ name: String, _ shape: [Int], _ values: [Float]) -> Void)? {
    guard dumps || explanation != nil else { return nil }
    return { [self] name, shape, values in
      add(name, shape, values)
      explanation?.see(name, shape, values)
    }
  }

  func add(_ name: String, _ shape: [Int], _ values: [Float]) {
    if dumps { tensors.append((names[name] ?? name, shape, values)) }
  }

  /// How like an image is to texts, as `--labels` asks.
  func add(textsOf session: VisionSession, logits: [Float]?) {
    let texts = session.labelEmbeddings
    guard dumps, let first = texts.first, let logits else { return }
    func add(_ name: String, _ rows: [[Float]]) {
      tensors.append((name, [rows.count, rows[0].count], rows.flatMap { $0 }))
    }
    let ids = session.labelIDs.map { $0.map { Float($0) } }
    if Set(ids.map(\.count)).count == 1 { add("text_ids", ids) }
    if session.rawLabelEmbeddings.count == texts.count {
      add("text_embedding_raw", session.rawLabelEmbeddings)
    }
    tensors.append(("text_embedding", [texts.count, first.count], texts.flatMap { $0 }))
    tensors.append(("logits", [1, logits.count], logits))
    let chances = ZeroShot.probabilities(logits).map { Float($0) }
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

  /// What open_clip calls the parts of its image tower.
  private static let openCLIPNames = [
    "features": "trunk_features", "head_norm": "trunk_out", "logits": "image_embedding_raw",
    "embedding": "image_embedding",
  ]

  /// The names that differ from ours, by ours. A classifier's outputs are logits whatever it is on.
  static func names(of session: VisionSession) -> [String: String] {
    guard session.isJoint else { return [:] }
    let isClassifier = session.description.classCount != nil
    return openCLIPNames.filter { !isClassifier || $0.key != "logits" }
  }
}

extension Preprocessing.Normalization {
  /// Values from 0 to 1, as they are.
  fileprivate static let none = Preprocessing.Normalization(
    mean: [0, 0, 0], deviation: [1, 1, 1])
}
