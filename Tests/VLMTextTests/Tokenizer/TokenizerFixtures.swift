import Foundation
import Testing
import VLMFoundation
import VLMTestSupport

@testable import VLMText

/// Tokenizers and their goldens. Meta's own tokenizer, which may not be part of the project, is in
/// `../shared`, if present.
enum TokenizerFixtures {
  static let hasLlama = TestFiles.exists(shared("tokenizer/llama/tokenizer.model"))
  static let llamaReason: Comment =
    "needs LLaMA's tokenizer in ../shared, whose licence keeps it out"

  static func bytes(_ path: String) throws -> [UInt8] {
    Array(try Data(contentsOf: URL(fileURLWithPath: path)))
  }

  static func own(_ name: String) -> String { TestFiles.fixture("tokenizer/" + name) }

  static func shared(_ name: String) -> String {
    TestFiles.shared.appendingPathComponent("goldens/" + name).path
  }

  static func spmSmall(_ prefix: PrefixRule = .everySegment) throws -> Tokenizer {
    try Tokenizer(
      sentencePiece: bytes(own("spm-small.model")), prefix: prefix, file: "spm-small.model")
  }

  static func byteLevelSmall() throws -> Tokenizer {
    try Tokenizer(
      tokenizerJSON: bytes(own("bytelevel-small.tokenizer.json")), file: "tokenizer.json")
  }

  static func llama(_ prefix: PrefixRule) throws -> Tokenizer {
    try Tokenizer(
      sentencePiece: bytes(shared("tokenizer/llama/tokenizer.model")), prefix: prefix,
      file: "tokenizer.model")
  }

  static func json(_ path: String) throws -> JSONValue { try JSONValue.parse(bytes(path)) }
}

/// One `*-ids.json`.
struct TokenizerGolden {
  private let json: JSONValue

  init(_ path: String) throws { json = try TokenizerFixtures.json(path) }

  func strings(_ key: String) throws -> [String] {
    try #require(json[key]?.arrayValue).map { try #require($0.stringValue) }
  }

  func ids(_ key: String) throws -> [[Int]] {
    try #require(json[key]?.arrayValue).map { try Self.ids($0) }
  }

  /// The ids of `key`, with those of `changes` where that has others.
  func ids(_ key: String, changed changes: String) throws -> [[Int]] {
    var ids = try ids(key)
    for member in try #require(json[changes]?.objectValue).members {
      ids[try #require(Int(member.key))] = try Self.ids(member.value)
    }
    return ids
  }

  private static func ids(_ json: JSONValue) throws -> [Int] {
    try #require(json.arrayValue).map { try #require($0.intValue) }
  }
}
