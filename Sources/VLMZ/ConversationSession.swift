import VLMContainer
import VLMImages
import VLMModels
import VLMTensor
import VLMText

/// Sees a named intermediate: maps as `[1, channels, height, width]`, tokens as
/// `[1, count, channels]`, hidden states as `[positions, hidden]`, logits as `[vocabulary]`.
package typealias ConversationObserver = (_ name: String, _ shape: [Int], _ values: [Float]) -> Void

/// A model to talk to, opened from a container, with one conversation in memory.
///
/// Prompts are whole conversations as ids; what of one the memory holds already is not run again.
/// Not thread-safe: one caller at a time; inside, the pool's threads share the work.
package protocol ConversationSession: AnyObject {
  var container: Container { get }
  var kernels: KernelSet { get }
  var pool: WorkerPool { get }
  /// The language model with the sequence that it holds.
  var generator: TextGenerator { get }
  /// How the model's makers want text to be generated.
  var defaults: GenerationDefaults { get }
  /// What a picture goes through before the model sees it; nil for a model that sees none.
  var pictureSteps: Preprocessing? { get }
  /// The name of the conversation template that the model was trained with, where the container
  /// has none of its own.
  var templateName: String? { get }
  /// Positions of the longest prompt that the model was trained with; nil where its files do not say.
  var trainedLength: Int? { get }

  /// The tower's input for a picture.
  ///
  /// - Throws: `GenerationError` for a model that sees no pictures, or for a size that cannot be;
  ///   `ImageError` for one too large.
  func pixels(
    of image: any PixelSource, name: String, geometry: PictureGeometry, limits: ImageLimits
  ) throws -> PixelTensor

  /// The visual tokens of a picture. Whoever keeps them need not encode it again.
  ///
  /// - Throws: `ModelError` when the picture is too small for the tower or too large for memory.
  func encode(_ pixels: PixelTensor, observe: ConversationObserver?) throws -> VisualTokens

  /// Continues a conversation.
  ///
  /// - Parameters:
  ///   - ids: all of it, `ImagePrompt.sentinel` where a picture goes.
  ///   - images: the pictures, in their order.
  ///   - emit: called with each piece of text as soon as it is certain.
  /// - Throws: `ModelError` when the numbers of pictures differ or the context is too short,
  ///   `GenerationError`.
  func generate(
    _ ids: [Int], images: [VisualTokens], _ options: GenerationOptions,
    cancelled: CancellationFlag?, emit: (String) -> Void
  ) throws -> Generation

  /// Runs a prompt and shows what is inside: `input_ids`; `inputs_embeds` and `hidden.i` of all its
  /// positions, and `hidden_last.i` of the last; `argmax_all`, the most probable token behind each;
  /// `logits`, which is `logits_last` too, behind the last. The conversation in memory is forgotten.
  func inspect(_ ids: [Int], images: [VisualTokens], observe: ConversationObserver) throws
}

extension ConversationSession {
  package var tokenizer: Tokenizer? { generator.tokenizer }
  /// Positions that a conversation may have.
  package var capacity: Int { generator.context.capacity }
  /// Positions that a context has where memory suffices, when this one has fewer.
  package var shortened: Int? {
    let usual = min(
      generator.model.config.contextLength, LanguageSession.defaultContextLength)
    return capacity < usual ? usual : nil
  }
  package var seesPictures: Bool { pictureSteps != nil }
}

/// What the user may ask of a picture's size.
package struct PictureGeometry: Sendable, Equatable {
  /// The short side of the tower's input; nil for the model's own.
  package var resolution: Int?
  /// The whole picture in its own proportions, instead of padding or cropping it to a square.
  package var keepsAspect: Bool

  package init(resolution: Int? = nil, keepsAspect: Bool = false) {
    self.resolution = resolution
    self.keepsAspect = keepsAspect
  }
}

/// Opens models to talk to.
package enum Conversation {
  /// Opens the model of a container, text-only or with eyes.
  ///
  /// - Parameters:
  ///   - contextLength: positions that the conversation may have; nil for the model's, but not
  ///     more than `LanguageSession.defaultContextLength`.
  /// - Throws: `ContainerError`, `ModelError` when the file is damaged or needs more memory than
  ///   there is, `GenerationError` when its model does not generate text.
  package static func open(
    path: String, kernels: KernelSet, threads: Int, contextLength: Int? = nil,
    keyValueFormat: KeyValueFormat = .f16
  ) throws -> any ConversationSession {
    try open(
      try Container.open(path: path), kernels: kernels, threads: threads,
      contextLength: contextLength, keyValueFormat: keyValueFormat)
  }

  /// The same of a container that is open.
  package static func open(
    _ container: Container, kernels: KernelSet, threads: Int, contextLength: Int? = nil,
    keyValueFormat: KeyValueFormat = .f16
  ) throws -> any ConversationSession {
    if try container.modelDescription().seesPictures {
      return try VisionLanguageSession(
        container, kernels: kernels, threads: threads, contextLength: contextLength,
        keyValueFormat: keyValueFormat)
    }
    return try LanguageSession(
      container, kernels: kernels, threads: threads, contextLength: contextLength,
      keyValueFormat: keyValueFormat)
  }
}

extension LanguageSession: ConversationSession {
  package var pictureSteps: Preprocessing? { nil }
  package var templateName: String? { nil }
  package var trainedLength: Int? { nil }

  private var blind: GenerationError {
    GenerationError(
      file: container.path, .option("--image", found: "a picture", expected: "text alone"))
  }

  package func pixels(
    of image: any PixelSource, name: String, geometry: PictureGeometry, limits: ImageLimits
  ) throws -> PixelTensor { throw blind }

  package func encode(
    _ pixels: PixelTensor, observe: ConversationObserver?
  ) throws -> VisualTokens { throw blind }

  package func generate(
    _ ids: [Int], images: [VisualTokens], _ options: GenerationOptions,
    cancelled: CancellationFlag?, emit: (String) -> Void
  ) throws -> Generation {
    guard images.isEmpty, !ids.contains(ImagePrompt.sentinel) else { throw blind }
    return try generate(ids, options, cancelled: cancelled, emit: emit)
  }

  package func inspect(
    _ ids: [Int], images: [VisualTokens], observe: ConversationObserver
  ) throws {
    guard !ids.isEmpty else { throw GenerationError(.emptyPrompt) }
    guard images.isEmpty, !ids.contains(ImagePrompt.sentinel) else { throw blind }
    observe("input_ids", [1, ids.count], ids.map { Float($0) })
    let hidden = config.hidden
    let memory = Activations(count: ids.count * hidden)
    let rows = memory.matrix(rows: ids.count, columns: hidden)
    try ModelError.inFile(container.path) {
      try generator.model.embed(ids, into: rows)
      try withExtendedLifetime(memory) { try generator.inspect(rows, observe: observe) }
    }
    try container.checkUnchanged()
  }
}

extension TextGenerator {
  /// Runs rows of embeddings from the first position on and shows what is inside; the sequence
  /// that the context held is forgotten.
  func inspect(_ rows: MatrixView, observe: ConversationObserver) throws {
    var states: [(name: String, values: [Float])] = []
    observe("inputs_embeds", [1, rows.rows, rows.columns], rows.array())
    forget()
    var best: [Float] = []
    var last: [Float] = []
    try model.scoreAll(.embeddings(rows), position: 0, context) { name, value, _ in
      // A long prompt comes in chunks.
      if let index = states.firstIndex(where: { $0.name == name }) {
        states[index].values += value.array()
      } else {
        states.append((name, value.array()))
      }
    } body: { logits, position in
      for row in 0..<logits.rows { best.append(Float(logits.indexOfLargest(inRow: row))) }
      if position + logits.rows == rows.rows {
        last = logits[logits.rows - 1..<logits.rows].array()
      }
    }
    for (name, values) in states {
      observe(name, [values.count / rows.columns, rows.columns], values)
      let index = name.split(separator: ".").last.map(String.init) ?? ""
      observe("hidden_last.\(index)", [rows.columns], Array(values.suffix(rows.columns)))
    }
    observe("argmax_all", [best.count], best)
    observe("logits", [last.count], last)
    observe("logits_last", [last.count], last)
    context.truncate(to: 0)
  }
}

extension MatrixView {
  /// The column of a row's largest value, the first of equal ones; 0 where none is a number.
  fileprivate func indexOfLargest(inRow row: Int) -> Int {
    var best = 0
    for column in 1..<max(1, columns) where !(self[row, column] <= self[row, best]) {
      if !self[row, column].isNaN { best = column }
    }
    return best
  }
}
