import VLMModels
import VLMTensor
import VLMText

/// Texts that pictures are compared with, and their embeddings.
package struct LabelTexts: Sendable {
  /// In the caller's order.
  package let labels: [String]
  /// The ids of each text, templates filled in, as the text tower reads them.
  package let ids: [[Int]]
  /// An embedding for each of these texts, before its norm.
  package let raw: [[Float]]
  /// An embedding for each label, of length 1.
  package let embeddings: [[Float]]
  /// Texts that are longer than the tower reads, and were cut.
  package let cut: [String]
}

extension Session {
  /// Makes classes of texts: from now on a picture's logits say how like each of them it is.
  ///
  /// - Parameter templates: see `embeddings(of:templates:)`.
  /// - Returns: texts that are longer than the tower reads, and were cut.
  /// - Throws: as `embeddings(of:templates:)`.
  @discardableResult
  package func setTextClasses(_ labels: [String], templates: [String] = []) throws -> [String] {
    let made = try embeddings(of: labels, templates: templates)
    texts = made
    scores = clip?.config.scores ?? .softmax
    return made.cut
  }

  /// The embeddings of labels.
  ///
  /// - Parameter templates: texts in which `{}` stands for a label. Of several a label's embedding is
  ///   the mean of theirs, each of length 1, brought to length 1 again, as open_clip's
  ///   `build_zero_shot_classifier` makes it.
  /// - Throws: `ModelError` for a model without a text tower, `GenerationError` for a file without
  ///   its tokenizer.
  func embeddings(
    of labels: [String], templates: [String], check: () throws -> Void = {}
  ) throws -> LabelTexts {
    let reader = try reader()
    let filled = templates.isEmpty ? labels : labels.flatMap { ZeroShot.fill(templates, with: $0) }
    let ids = try filled.map { try reader.ids(of: $0) }
    let raw = try rawEmbeddings(ids, check: check)
    let single = raw.map { $0.unitLength }
    let count = max(1, templates.count)
    let embeddings = labels.indices.map { index in
      count == 1 ? single[index] : ZeroShot.mean(single[index * count..<(index + 1) * count])
    }
    return LabelTexts(
      labels: labels, ids: ids, raw: raw, embeddings: embeddings,
      cut: try filled.filter { try reader.cuts($0) })
  }

  /// As many ids as the text tower reads: cut or padded.
  ///
  /// - Throws: as `embeddings(of:templates:)`.
  func ids(of text: String) throws -> [Int] {
    try reader().ids(of: text)
  }

  /// The embeddings of texts in the space of the pictures', each of length 1.
  ///
  /// - Parameter ids: of each text, its end included.
  /// - Throws: `ModelError` for a model without a text tower, or ids that it cannot take.
  package func embed(texts ids: [[Int]]) throws -> [[Float]] {
    try rawEmbeddings(ids).map { $0.unitLength }
  }

  private func rawEmbeddings(
    _ ids: [[Int]], check: () throws -> Void = {}
  ) throws -> [[Float]] {
    try ModelError.inFile(container.path) {
      guard let tower = clip?.text else { throw notTextual }
      let context =
        try textContext
        ?? TextTower.Context(
          tower.config, format: tower.keyValueFormat, pool: pool, kernels: kernels)
      textContext = context
      let embeddings = try ids.map { ids in
        try check()
        return try tower(ids, context)
      }
      try container.checkUnchanged()
      for embedding in embeddings { try embedding.requireFinite("embedding of a text") }
      return embeddings
    }
  }

  private func reader() throws -> TextReader {
    guard let reader = try model.textReader() else { throw notTextual }
    return reader
  }

  private var notTextual: ModelError {
    ModelError(
      file: container.path,
      .configuration(
        field: "architecture", found: "'\(description.architecture)'",
        expected: "a CLIP or a SigLIP with its text tower"))
  }
}
