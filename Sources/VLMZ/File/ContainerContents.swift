import VLMContainer
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMText

extension Container {
  /// The content of a JSON section; nil when there is none.
  ///
  /// - Throws: `ContainerError`, `ModelError` when it is no JSON.
  package func json(_ kind: SectionKind) throws -> JSONValue? {
    guard let bytes = try section(kind) else { return nil }
    do throws(JSONError) { return try JSONValue.parse(bytes, limits: JSONLimits()) } catch {
      throw ModelError(
        file: path, .configuration(field: "\(kind)", found: error.description, expected: "JSON"))
    }
  }

  /// What the field calls the model; see `ModelDescription.commonName`.
  package func commonName(of description: ModelDescription) -> String {
    // What it is does not depend on where it came from: a damaged section is told by `verify`.
    description.commonName(provenance: (try? json(.provenance)) ?? nil)
  }

  /// Which model this is.
  package func modelDescription() throws -> ModelDescription {
    try ModelError.inFile(path) { try ModelDescription(json: try json(.config) ?? .null) }
  }
}

extension Container {
  /// What becomes of a picture before the model sees it: timm's steps where a file does not say.
  ///
  /// - Throws: `ContainerError`, `ModelError`, `PreprocessingError` for a section that makes no sense,
  ///   or that makes no picture of the kind that a LLaVA sees.
  package func preprocessing(of description: ModelDescription) throws -> Preprocessing {
    let steps = try json(.preprocess).map { try Preprocessing(json: $0, name: path) }
    guard description.seesPictures else { return steps ?? .timmDefault }
    guard let steps else {
      throw ModelError(
        file: path,
        .configuration(field: "preprocess", found: "no section", expected: "one, to see pictures"))
    }
    guard steps.color == .rgb else {
      throw ModelError(
        file: path,
        .configuration(
          field: "preprocess.channels", found: "'\(steps.color.rawValue)'",
          expected: "'rgb', which the tower sees"))
    }
    return steps
  }

  /// What the outputs stand for; nil where the file does not say.
  ///
  /// - Throws: `ContainerError`, `ModelError` for a section that is another model's.
  package func labels(of description: ModelDescription) throws -> Labels? {
    try json(.labels).map { json in
      try ModelError.inFile(path) { try Labels(json: json, count: description.classCount) }
    }
  }

  /// The tokenizer; nil when the file has none.
  ///
  /// - Throws: `ContainerError`, `TextError` for a section that is damaged, `ModelError` for one with
  ///   tokens that the model has no embeddings of.
  package func tokenizer(of description: ModelDescription) throws -> Tokenizer? {
    guard let bytes = try section(.tokenizer) else { return nil }
    let tokenizer = try Tokenizer(container: bytes, file: path)
    if let rows = description.tokenRows, let left = tokenizer.pieces(from: rows) {
      throw ModelError(
        file: path,
        .tokenWithoutRow(token: left.first, id: left.id, others: left.count - 1, rows: rows))
    }
    return tokenizer
  }

  /// What the model's makers want; greedy without end tokens where the file says nothing.
  package func generationDefaults() throws -> GenerationDefaults {
    guard let json = try json(.generationConfig) else { return GenerationDefaults() }
    return try ModelError.inFile(path) { try GenerationDefaults(json: json) }
  }

  /// How a conversation becomes text, as the file says; without programs where it does not say.
  ///
  /// - Throws: `ContainerError`, `TextError` for a section that is damaged.
  package func chatTemplates() throws -> ChatTemplates {
    guard let json = try json(.chatTemplate) else { return ChatTemplates() }
    return try ChatTemplates(json: json, file: path)
  }

  /// Whatever keeps a session from opening the file and asking its model: all that the sections
  /// say, and every tensor's shape and storage, looked at as sessions do. What is only wrong with
  /// bytes is `verify`'s.
  package func contentDefects() -> [any ReportableError] {
    var defects: [any ReportableError] = []
    func check(_ body: () throws -> Void) {
      do { try body() } catch let error as any ReportableError { defects.append(error) } catch {
        defects.append(
          ModelError(
            file: path, .configuration(field: "sections", found: "\(error)", expected: "a model")))
      }
    }
    var found: ModelDescription?
    check { found = try modelDescription() }
    if let description = found {
      let weights = ContainerWeights(self)
      var specs: [TensorSpec] = []
      check { specs = try ModelError.inFile(path) { try description.manifest() } }
      for spec in specs { check { _ = try weights.tensor(spec) } }
      check { try weights.requireAllUsed() }
      check { _ = try labels(of: description) }
      check { _ = try preprocessing(of: description) }
      check { _ = try tokenizer(of: description) }
    } else {
      for kind in [SectionKind.labels, .preprocess] { check { _ = try json(kind) } }
    }
    var templates = ChatTemplates()
    check { templates = try chatTemplates() }
    for program in templates.programs {
      check { _ = try ChatTemplate(program, tokens: [], addsBOS: false, file: path) }
    }
    check { _ = try generationDefaults() }
    for kind in [SectionKind.provenance, .report] { check { _ = try json(kind) } }
    return defects
  }
}
