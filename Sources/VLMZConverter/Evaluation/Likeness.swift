import VLMContainer
import VLMFoundation
import VLMModels
import VLMText
import VLMZ

/// What two models must have in common to be compared.
enum Likeness {
  /// Compares what is known before anything is run.
  ///
  /// - Throws: `EvaluationError` with the file that is to be like the reference.
  static func require(
    _ model: ModelDescription, file: String, like reference: ModelDescription, _ path: String
  ) throws(EvaluationError) {
    func require(_ what: String, _ found: String, _ expected: String) throws(EvaluationError) {
      guard found == expected else {
        throw EvaluationError(
          file: file, .unlike(what, found: found, expected: expected, reference: path))
      }
    }
    try require("architecture", "'\(model.architecture)'", "'\(reference.architecture)'")
    func text(_ count: Int?) -> String { count.map(String.init) ?? "none" }
    try require("classes", text(model.classCount), text(reference.classCount))
    // Rows beyond the tokenizer's are padding, but probabilities are compared row by row.
    try require("vocabulary", text(model.tokenRows), text(reference.tokenRows))
    let (width, other) = (model.config.image?.vector?.width, reference.config.image?.vector?.width)
    if model.classCount == nil { try require("width of embeddings", text(width), text(other)) }
  }

  /// Compares tokenizers, by what they make of texts where their bytes differ.
  ///
  /// - Throws: `EvaluationError` where a text is other tokens for one than for the other.
  static func requireTokenizer(
    _ model: Container, like reference: Container, path: String, on texts: [String]
  ) throws {
    guard try model.section(.tokenizer) != (try reference.section(.tokenizer)) else { return }
    let pair = try [model, reference].map { try $0.tokenizer(of: try $0.modelDescription()) }
    func refuse(_ found: String) -> EvaluationError {
      EvaluationError(
        file: model.path,
        .unlike("tokenizer", found: found, expected: "the reference's", reference: path))
    }
    guard let own = pair[0], let other = pair[1] else {
      throw refuse(pair[0] == nil ? "none" : "one, and the reference has none")
    }
    for text in texts {
      let part = String(text.prefix(Self.sampleCharacters))
      guard
        try own.encode(part, bos: false, eos: false, parsesSpecial: false)
          == (try other.encode(part, bos: false, eos: false, parsesSpecial: false))
      else { throw refuse("another") }
    }
  }

  /// Of each text; differences of vocabularies show in less.
  private static let sampleCharacters = 1 << 14
}
