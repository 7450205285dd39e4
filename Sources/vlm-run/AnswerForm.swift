import VLMFoundation
import VLMText
import VLMZ

/// What `--schema` and `--grammar` ask of answers.
struct AnswerForm {
  private let schema: String?
  private let grammar: String?

  init(_ options: ConversationOptions) {
    schema = options.schema
    grammar = options.grammar
  }

  /// A schema or grammar at most; published ones have kilobytes.
  private static let maximumBytes = 1 << 20

  /// A schema on the command line begins with a brace; no file's name should.
  private var isInline: Bool {
    schema?.utf8.first { ![0x20, 0x09, 0x0a, 0x0d].contains($0) } == UInt8(ascii: "{")
  }

  /// The files that are read.
  var files: [String] { [isInline ? nil : schema, grammar].compactMap { $0 } }

  /// The form, read and checked.
  ///
  /// - Throws: `FileError` for a file that cannot be read; `TextError` for what is in it, with line and
  ///   column or a JSON pointer.
  func format() throws -> AnswerFormat {
    let format: AnswerFormat
    if let schema {
      format = .jsonSchema(isInline ? schema : try Self.text(of: schema))
    } else if let grammar {
      format = .grammar(try Self.text(of: grammar))
    } else {
      return .text
    }
    _ = try format.compiled(name: files.first ?? "--schema")
    return format
  }

  private static func text(of path: String) throws -> String {
    try OptionFile.text(of: path, limit: maximumBytes)
  }
}
