import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor

/// What a session tells of pictures and texts.
///
/// Each call has a twin that does not hold up the thread of a task; a task that is cancelled cancels
/// it.
extension Session {
  // MARK: - Classes of the model

  /// The classes that a picture shows.
  ///
  /// - Parameters:
  ///   - image: any picture; how it is prepared is the model's own.
  ///   - top: classes at most, best first: 1 or more.
  /// - Throws: `VLMZError`: `.notCapable` for a model without classes, `.invalidArgument` for a `top`
  ///   below 1, `.badData` for a damaged or too small picture or for weights that make no numbers,
  ///   `.io` for a model whose file has changed, `.noMemory`, `.busy`, `.cancelled`.
  public func classify(_ image: Image, top: Int = 5) throws(VLMZError) -> Classification {
    try classify([image], top, CancellationFlag()) { _, _ in }[0]
  }

  /// The classes that each of some pictures shows.
  ///
  /// - Parameters:
  ///   - images: any pictures. Neighbours whose inputs have one size are computed together, which is
  ///     faster and gives the same numbers.
  ///   - top: classes of each picture at most, best first: 1 or more.
  ///   - progress: called on this thread with the number of pictures that are done, and of all.
  /// - Throws: as for one picture; the first failure ends the call.
  public func classify(
    _ images: [Image], top: Int = 5, progress: (_ done: Int, _ of: Int) -> Void = { _, _ in }
  ) throws(VLMZError) -> [Classification] {
    try classify(images, top, CancellationFlag(), progress)
  }

  /// See the call without `async`.
  public func classify(_ image: Image, top: Int = 5) async throws(VLMZError) -> Classification {
    let flag = CancellationFlag()
    return try await Background.run(flag) {
      try self.classify([image], top, flag) { _, _ in }[0]
    }
  }

  /// See the call without `async`; `progress` is called on a thread of the library's.
  public func classify(
    _ images: [Image], top: Int = 5,
    progress: @escaping @Sendable (_ done: Int, _ of: Int) -> Void = { _, _ in }
  ) async throws(VLMZError) -> [Classification] {
    let flag = CancellationFlag()
    return try await Background.run(flag) { try self.classify(images, top, flag, progress) }
  }

  private func classify(
    _ images: [Image], _ top: Int, _ flag: CancellationFlag, _ progress: (Int, Int) -> Void
  ) throws(VLMZError) -> [Classification] {
    try Self.require(top: top)
    let needed =
      model.capabilities.contains(.classifiesByText)
      ? "has classes of its own; this one chooses among labels that it is given" : "has classes"
    return try enter(.classifiesImages, needed, flag) { vision in
      try run(images, vision, flag, progress: progress).map {
        Self.classification(
          $0.logits ?? [], top, vision.labels?.scores ?? .softmax, vision.labels?.names)
      }
    }
  }

  // MARK: - Classes of the caller's

  /// Makes classes of texts, with a model that maps texts into the space of its pictures.
  ///
  /// - Parameters:
  ///   - labels: one text or more, none of them empty.
  ///   - templates: what is said of a label, which stands for `{}`, such as "a photo of a {}". Of
  ///     several a label's embedding is the mean of theirs, each of length 1, brought to length 1
  ///     again, as open_clip's `build_zero_shot_classifier` makes it. None: the labels as they are.
  /// - Throws: `VLMZError`: `.notCapable` for a model that reads no texts, `.invalidArgument` for no
  ///   labels, an empty one, or a template without `{}`; `.badData`, `.io`, `.noMemory`, `.busy`,
  ///   `.cancelled`.
  public func textClasses(
    _ labels: [String], templates: [String] = []
  ) throws(VLMZError) -> TextClasses {
    try textClasses(labels, templates, CancellationFlag())
  }

  /// See the call without `async`.
  public func textClasses(
    _ labels: [String], templates: [String] = []
  ) async throws(VLMZError) -> TextClasses {
    let flag = CancellationFlag()
    return try await Background.run(flag) { try self.textClasses(labels, templates, flag) }
  }

  private func textClasses(
    _ labels: [String], _ templates: [String], _ flag: CancellationFlag
  ) throws(VLMZError) -> TextClasses {
    try VLMZError.require(!labels.isEmpty, "labels", found: "none", expected: "one or more")
    for label in labels {
      try VLMZError.require(
        !label.allSatisfy(\.isWhitespace), "labels", found: "an empty text",
        expected: "texts that say something")
    }
    for template in templates {
      try VLMZError.require(
        template.contains(ZeroShot.placeholder), "template", found: "'\(template)'",
        expected: "a text with {} where the label goes")
    }
    return try enter(.classifiesByText, "compares pictures with texts", flag) { _ in
      let made = try embeddings(of: labels, templates: templates) { try flag.check() }
      return TextClasses(
        labels: labels, embeddings: made.embeddings.map { Embedding(values: $0) },
        truncatedTexts: made.cut, model: model)
    }
  }

  /// Which of some texts a picture is most like: a softmax over the similarities times the model's
  /// scale, or, of a SigLIP, for each text by itself the probability that it belongs to the picture.
  ///
  /// - Parameters:
  ///   - image: any picture.
  ///   - classes: made by a session of the same model.
  ///   - top: texts at most, best first: 1 or more; nil for all.
  /// - Throws: `VLMZError`: `.invalidArgument` for a `top` below 1 or classes of another model; else as
  ///   `classify(_:top:)`.
  public func classify(
    _ image: Image, as classes: TextClasses, top: Int? = nil
  ) throws(VLMZError) -> Classification {
    try classify([image], classes, top, CancellationFlag()) { _, _ in }[0]
  }

  /// The same of several pictures; see `classify(_:top:progress:)`.
  public func classify(
    _ images: [Image], as classes: TextClasses, top: Int? = nil,
    progress: (_ done: Int, _ of: Int) -> Void = { _, _ in }
  ) throws(VLMZError) -> [Classification] {
    try classify(images, classes, top, CancellationFlag(), progress)
  }

  /// See the call without `async`.
  public func classify(
    _ image: Image, as classes: TextClasses, top: Int? = nil
  ) async throws(VLMZError) -> Classification {
    let flag = CancellationFlag()
    return try await Background.run(flag) {
      try self.classify([image], classes, top, flag) { _, _ in }[0]
    }
  }

  private func classify(
    _ images: [Image], _ classes: TextClasses, _ top: Int?, _ flag: CancellationFlag,
    _ progress: (Int, Int) -> Void
  ) throws(VLMZError) -> [Classification] {
    let top = top ?? classes.labels.count
    try Self.require(top: top)
    try model.require(isOwn: classes.model, "text classes")
    return try enter(.classifiesByText, "compares pictures with texts", flag) { vision in
      let texts = classes.embeddings.map(\.values)
      let (scale, bias) = (vision.clip?.scale ?? 1, vision.clip?.bias ?? 0)
      let scores = vision.clip?.config.scores ?? .softmax
      return try run(images, vision, flag, progress: progress).map { result in
        let logits = ZeroShot.logits(
          image: result.embedding, texts: texts, scale: scale, bias: bias)
        return Self.classification(logits, top, scores, classes.labels)
      }
    }
  }

  private static func require(top: Int) throws(VLMZError) {
    try VLMZError.require(top >= 1, "top", found: "\(top)", expected: "1 or more")
  }

  private static func classification(
    _ logits: [Float], _ top: Int, _ scores: Scores, _ labels: [String]?
  ) -> Classification {
    Classification(
      candidates: ClassScores.top(top, of: logits, as: scores).map { candidate in
        Classification.Candidate(
          index: candidate.index, label: labels?[candidate.index], score: candidate.score)
      }, scores: ScoreKind(scores))
  }

  // MARK: - Embeddings

  /// The embedding of a picture.
  ///
  /// - Throws: `VLMZError`: `.notCapable` for a model that answers questions; else as
  ///   `classify(_:top:)`.
  public func embed(_ image: Image) throws(VLMZError) -> Embedding {
    try embed([image], CancellationFlag()) { _, _ in }[0]
  }

  /// The embeddings of several pictures; see `classify(_:top:progress:)`.
  public func embed(
    _ images: [Image], progress: (_ done: Int, _ of: Int) -> Void = { _, _ in }
  ) throws(VLMZError) -> [Embedding] {
    try embed(images, CancellationFlag(), progress)
  }

  /// See the call without `async`.
  public func embed(_ image: Image) async throws(VLMZError) -> Embedding {
    let flag = CancellationFlag()
    return try await Background.run(flag) { try self.embed([image], flag) { _, _ in }[0] }
  }

  /// See the call without `async`; `progress` is called on a thread of the library's.
  public func embed(
    _ images: [Image],
    progress: @escaping @Sendable (_ done: Int, _ of: Int) -> Void = { _, _ in }
  ) async throws(VLMZError) -> [Embedding] {
    let flag = CancellationFlag()
    return try await Background.run(flag) { try self.embed(images, flag, progress) }
  }

  private func embed(
    _ images: [Image], _ flag: CancellationFlag, _ progress: (Int, Int) -> Void
  ) throws(VLMZError) -> [Embedding] {
    try enter(.embedsImages, "embeds pictures", flag) { vision in
      try run(images, vision, flag, progress: progress).map { Embedding(values: $0.embedding) }
    }
  }

  /// The embedding of a text in the space of the pictures, of length 1. A text that is longer than the
  /// model reads is cut.
  ///
  /// - Throws: `VLMZError`: `.notCapable` for a model that reads no texts, `.badData`, `.io`,
  ///   `.noMemory`, `.busy`, `.cancelled`.
  public func embed(_ text: String) throws(VLMZError) -> Embedding {
    try embed([text], CancellationFlag())[0]
  }

  /// The embeddings of several texts.
  ///
  /// - Throws: as for one text.
  public func embed(_ texts: [String]) throws(VLMZError) -> [Embedding] {
    try embed(texts, CancellationFlag())
  }

  /// See the call without `async`.
  public func embed(_ text: String) async throws(VLMZError) -> Embedding {
    let flag = CancellationFlag()
    return try await Background.run(flag) { try self.embed([text], flag)[0] }
  }

  /// See the call without `async`.
  public func embed(_ texts: [String]) async throws(VLMZError) -> [Embedding] {
    let flag = CancellationFlag()
    return try await Background.run(flag) { try self.embed(texts, flag) }
  }

  private func embed(
    _ texts: [String], _ flag: CancellationFlag
  ) throws(VLMZError) -> [Embedding] {
    try enter(.embedsTexts, "embeds texts", flag) { _ in
      try texts.map { text in
        try flag.check()
        return Embedding(values: try embed(texts: [ids(of: text)])[0])
      }
    }
  }

  // MARK: - Pictures for questions

  /// Encodes a picture for the questions of conversations.
  ///
  /// - Parameters:
  ///   - image: any picture; how it is prepared is the model's own.
  ///   - options: another size than the model's own.
  /// - Throws: as `Conversation.encode(_:options:)`.
  public func encode(
    _ image: Image, options: EncodingOptions = EncodingOptions()
  ) throws(VLMZError) -> EncodedImage {
    try gate.enter { try model.encode(image, options, pool: pool, $0) }
  }

  /// See the call without `async`.
  public func encode(
    _ image: Image, options: EncodingOptions = EncodingOptions()
  ) async throws(VLMZError) -> EncodedImage {
    let flag = CancellationFlag()
    return try await Background.run(flag) {
      try self.gate.enter(flag) { try self.model.encode(image, options, pool: self.pool, $0) }
    }
  }
}
