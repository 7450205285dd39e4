import VLMModels
import VLMText

/// How a model that compares pictures with texts reads one: the tokenizer of its text tower, and what
/// the tower wants of it.
package struct TextReader: Sendable {
  private let tokenizer: Tokenizer
  private let config: TextTowerConfig

  init(_ tokenizer: Tokenizer, _ config: TextTowerConfig) {
    (self.tokenizer, self.config) = (tokenizer, config)
  }

  /// As many ids as the tower reads: cut or padded.
  ///
  /// - Throws: `TextError` as `Tokenizer.encode`.
  package func ids(of text: String) throws -> [Int] {
    try tokenizer.encodePadded(text, length: config.tokenCount, ends: ends)
  }

  /// Ids that the text takes, its ends included, however many the tower reads.
  ///
  /// - Throws: `TextError` as `Tokenizer.encode`.
  func count(of text: String) throws -> Int {
    try tokenizer.encode(text, bos: ends, eos: ends).count
  }

  /// Whether the tower reads a part of the text only.
  func cuts(_ text: String) throws -> Bool { try count(of: text) > config.tokenCount }

  private var ends: Bool? { config.hasOwnEnds ? nil : true }
}

extension Model {
  /// How texts are read; nil for a model that compares no pictures with texts.
  ///
  /// - Throws: `GenerationError` for a file without its tokenizer; `ContainerError`, `TextError`,
  ///   `ModelError` for one that is damaged.
  package func textReader() throws -> TextReader? {
    guard let vision, let config = vision.clip?.text.config else { return nil }
    guard let tokenizer = try vision.tokenizer() else {
      throw GenerationError(file: path, .noTokenizer)
    }
    return TextReader(tokenizer, config)
  }
}
