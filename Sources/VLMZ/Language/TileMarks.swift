import VLMContainer
import VLMFoundation
import VLMModels
import VLMText

/// What a SmolVLM reads around the tiles of a picture, as `Idefics3Processor` and `SmolVLMProcessor` of
/// transformers write it: a mark before each tile with its row and column, a line break behind each row,
/// and marks around the overview.
struct TileMarks: Sendable {
  /// `fake_image_token`.
  private let edge: String
  /// `global_image_token`.
  private let overview: String
  private let tokenizer: Tokenizer

  /// - Parameter tokens: special tokens that the model's own files name.
  init(_ tokens: [ChatTemplates.Token], _ tokenizer: Tokenizer) {
    func text(_ name: String, default usual: String) -> String {
      tokens.first { $0.name == name }?.text ?? usual
    }
    edge = text("fake_image_token", default: "<fake_token_around_image>")
    overview = text("global_image_token", default: "<global-img>")
    self.tokenizer = tokenizer
  }

  /// The tokens with their marks.
  ///
  /// - Throws: the errors of `Tokenizer.encode`.
  func arranged(
    _ tokens: VisualTokens, _ layout: TileLayout
  ) throws(TextError) -> VisualTokens {
    let size = tokens.count / layout.count
    var runs: [PictureRun] = []
    // What stands between two tiles is one text, of which the tokenizer may make one token.
    var text = ""
    func add(_ mark: String, tile: Int) throws(TextError) {
      runs.append(.text(try ids(text + edge + mark)))
      runs.append(.rows(tile * size..<(tile + 1) * size))
      text = ""
    }
    for row in 0..<layout.rows {
      for column in 0..<layout.columns {
        try add("<row_\(row + 1)_col_\(column + 1)>", tile: row * layout.columns + column)
      }
      text += "\n"
    }
    if !layout.isWhole { text += "\n" }
    try add(overview, tile: layout.count - 1)
    runs.append(.text(try ids(edge)))
    return tokens.arranged(runs)
  }

  private func ids(_ text: String) throws(TextError) -> [Int] {
    try tokenizer.encode(text, bos: false, eos: false)
  }
}
