import VLMFoundation
import VLMTensor

/// What a checkpoint says of itself, before anything is read from its tensors.
package struct CheckpointFacts: Sendable {
  package typealias Name = (name: String, shape: [Int])

  /// Every tensor with its shape. Those of a separate vision tower begin with `towerPrefix`.
  package let names: [Name]
  /// `config.json`, `open_clip_config.json` or the metadata that stands for it.
  package let description: JSONValue?
  /// `config.json` of a separate vision tower's folder, or the metadata of a vision half in GGUF.
  package let towerDescription: JSONValue?
  /// Where that is from, for errors.
  package let towerFile: String?
  /// What `towerDescription` is called in messages.
  package let towerPlace: String
  /// What the user says of a head's activations where the file leaves them open.
  package let headActivation: HeadActivationOption?

  /// Marks tensors from a tower's folder: no checkpoint's own name has a slash in this place.
  package static let towerPrefix = "vision_tower/"

  package init(
    names: [Name], description: JSONValue? = nil, towerDescription: JSONValue? = nil,
    towerFile: String? = nil, towerPlace: String = "config.json",
    headActivation: HeadActivationOption? = nil
  ) {
    self.names = names
    self.description = description
    self.towerDescription = towerDescription
    self.towerFile = towerFile
    self.towerPlace = towerPlace
    self.headActivation = headActivation
  }

  /// The same with other names.
  func with(names: [Name]) -> CheckpointFacts {
    CheckpointFacts(
      names: names, description: description, towerDescription: towerDescription,
      towerFile: towerFile, towerPlace: towerPlace, headActivation: headActivation)
  }
}

extension CheckpointFacts {
  /// The first part of the names, dot included, where all have the same; nil otherwise, or where a
  /// name ends there.
  fileprivate var commonPart: String? {
    guard let first = names.first?.name, let dot = first.firstIndex(of: ".") else { return nil }
    let part = String(first[...dot])
    return names.allSatisfy { $0.name.hasPrefix(part) && $0.name.count > part.count } ? part : nil
  }
}

/// In which order a checkpoint stores the rows of a matrix.
package enum RowOrder: Sendable, Equatable {
  /// In ours.
  case stored
  /// Query and key projections of GGUF: rotary embedding turns neighbouring rows of a head as a
  /// pair, ours turns row i with row i + d/2.
  case interleavedRotary(heads: Int)
  /// So many rows of a matrix in which those of others stand beside them.
  case part(first: Int, count: Int)
  /// A matrix `[inputs, outputs]`: our rows are its columns.
  case transposed

  /// The stored row that is our row `row` of `count`.
  package func source(of row: Int, count: Int) -> Int {
    if case .part(let first, _) = self { return first + row }
    guard case .interleavedRotary(let heads) = self else { return row }
    let dimension = count / heads
    let (head, position) = (row / dimension, row % dimension)
    let half = dimension / 2
    return head * dimension + (position % half) * 2 + position / half
  }
}

/// A checkpoint recognised: its model, and where each of our tensors comes from.
package struct ModelCheckpoint: Sendable {
  package struct Source: Sendable, Equatable {
    /// The tensor's name in the checkpoint; of one that is folded, the name that it would have there.
    package let original: String
    /// The shape that the model states; the elements and their order are the checkpoint's.
    package let shape: [Int]
    package let rows: RowOrder
    /// What our values are more than the checkpoint's: norms of some models are stored without 1.
    package let added: Float
    /// What it follows from, where the checkpoint does not have it.
    package let fold: TensorFold?

    package init(
      original: String, shape: [Int], rows: RowOrder = .stored, added: Float = 0,
      fold: TensorFold? = nil
    ) {
      self.original = original
      self.shape = shape
      self.rows = rows
      self.added = added
      self.fold = fold
    }

    /// The checkpoint's tensors that are read for it.
    package var stored: [String] { fold?.names ?? [original] }

    /// The same of a checkpoint that calls its tensors otherwise.
    func renamed(_ name: (String) -> String) -> Source {
      Source(
        original: name(original), shape: shape, rows: rows, added: added,
        fold: fold?.renamed(name))
    }

    /// Whether the values and their order are the checkpoint's.
    package var isAsStored: Bool { rows == .stored && added == 0 && fold == nil }
  }

  package let description: ModelDescription
  /// Whose names the tensors have: "timm", "hugging-face", "gguf".
  package let naming: String
  /// By our name.
  package internal(set) var tensors: [String: Source]
  /// Tensors of the checkpoint that are no part of the model.
  package private(set) var unused: [String]
  /// What a person should know, one line each.
  package private(set) var notes: [Note]
  /// A classifier among the unused tensors that cannot be run.
  package var headFault: HeadFault?
  /// The preprocessing that is assumed where the files state none; nil for what the configuration and
  /// the names tell.
  package var assumedSteps: AssumedSteps?
  /// Unused tensors without a known purpose: the checkpoint may be of another model.
  package internal(set) var unexpected: [String] = []
  /// Whether an activation of the head was assumed.
  package var hasOpenHead = false
  /// Sizes for tiles, of a model that sees a picture in several.
  package internal(set) var tiles: TileSizes?
  /// Tables of rotary frequencies, which follow from the description.
  package internal(set) var frequencies: [String] = []

  package init(
    description: ModelDescription, naming: String, tensors: [String: Source],
    unused: [String] = [], unexpected: [String] = [], notes: [Note] = []
  ) {
    self.unexpected = unexpected
    self.description = description
    self.naming = naming
    self.tensors = tensors
    self.unused = unused
    self.notes = notes
  }

  /// The model that the tensors make up; nil when they are none that we know.
  ///
  /// A prefix that all names have in common, as in a training module that holds the model as `net`, is
  /// ignored. So is the prefix of a model among other tensors, if it is the only known model; the
  /// other tensors are then unused.
  ///
  /// - Throws: `ModelError` when the tensors contradict each other or the description.
  package static func recognise(_ facts: CheckpointFacts) throws(ModelError) -> ModelCheckpoint? {
    var (inner, prefix) = (facts, "")
    for _ in 0..<4 {
      if let found = try Registry.recognise(inner) { return found.prefixed(prefix) }
      guard let part = inner.commonPart else { break }
      prefix += part
      inner = inner.with(
        names: inner.names.map { (String($0.name.dropFirst(part.count)), $0.shape) })
    }
    let places = ModelPlace.find(facts.names.map(\.name))
    guard places.count == 1, let place = places.first?.prefix, !place.isEmpty else { return nil }
    let parts = facts.names.filter { $0.name.hasPrefix(place) }
    inner = facts.with(names: parts.map { (String($0.name.dropFirst(place.count)), $0.shape) })
    return try Registry.recognise(inner)?.prefixed(place).adding(
      unused: facts.names.filter { !$0.name.hasPrefix(place) })
  }

  /// The same with more tensors that are no part of it, which may be a head, or the larger part of
  /// what the file is.
  package func adding(unused names: [CheckpointFacts.Name]) -> ModelCheckpoint {
    var result = self
    result.unused += names.map(\.name)
    result.unexpected += names.filter { name in
      let isBeside = description.language != nil && LLaMANaming.isValueHead(name.name)
      return !HeadModule.isInert(name) && !isBeside
    }.map(\.name)
    return result
  }

  /// Says that a tower for texts is no part of a model that classifies images.
  mutating func leaveOutTexts(_ names: [String]) {
    guard !names.isEmpty else { return }
    unused += names.sorted()
    notes.append("the image tower with a classifier on top: the text tower is left out")
  }

  /// Tensors that are no part of the model, without those that training keeps and no model needs.
  package var worthTelling: [String] {
    unused.filter { name in
      let leaf = name.utf8.lastIndex(of: UInt8(ascii: ".")).map { name[name.index(after: $0)...] }
      return !HeadModule.isBookkeeping(leaf ?? name[...])
    }
  }

  /// Adds tensors that are no part of the model.
  mutating func addUnused(_ names: [String]) { unused += names }

  /// The same of a checkpoint whose names have `prefix` before them.
  private func prefixed(_ prefix: String) -> ModelCheckpoint {
    prefix.isEmpty ? self : renamed(naming: naming) { prefix + $0 }
  }

  /// The same with other names for tensors of the checkpoint: `originals`, by those that they have.
  func renamed(
    _ originals: [String: String], naming: String, notes: [Note] = []
  ) -> ModelCheckpoint {
    renamed(naming: naming, notes: notes) { originals[$0] ?? $0 }
  }

  private func renamed(
    naming: String, notes: [Note] = [], _ original: (String) -> String
  ) -> ModelCheckpoint {
    var result = ModelCheckpoint(
      description: description, naming: naming,
      tensors: tensors.mapValues { $0.renamed(original) }, unused: unused.map(original),
      notes: self.notes + notes)
    result.headFault = headFault.map { fault in
      HeadFault(
        tensors: fault.tensors.map(original), found: fault.found, expected: fault.expected)
    }
    result.hasOpenHead = hasOpenHead
    result.unexpected = unexpected.map(original)
    result.frequencies = frequencies.map(original)
    result.tiles = tiles
    result.assumedSteps = assumedSteps
    return result
  }
}

extension [String: ModelCheckpoint.Source] {
  /// Adds what a tensor of ours is made of.
  ///
  /// - Throws: `ModelError` where it is made of another already.
  mutating func add(
    _ source: ModelCheckpoint.Source, as name: String
  ) throws(ModelError) {
    guard let other = updateValue(source, forKey: name) else { return }
    throw ModelError(
      .configuration(
        field: "tensor '\(name)'", found: "'\(other.original)' and '\(source.original)'",
        expected: "one of them"))
  }

  /// The checkpoint's name for the tensor whose name of ours is most like `name`, which is missing;
  /// nil where both namings are the same.
  package func neighbour(of name: String) -> String? {
    let shared = { (other: String) in zip(name.utf8, other.utf8).prefix { $0 == $1 }.count }
    let best = keys.max { a, b in (shared(a), b) < (shared(b), a) }
    guard let best, let original = self[best]?.original, original != best else { return nil }
    return original
  }
}

extension ModelError {
  /// The same with a name of the checkpoint's own where it is about one of ours that is missing.
  func beside(_ tensors: [String: ModelCheckpoint.Source]) -> ModelError {
    guard case .missingTensor(let name, nil) = problem else { return self }
    return ModelError(file: file, .missingTensor(name, beside: tensors.neighbour(of: name)))
  }
}
