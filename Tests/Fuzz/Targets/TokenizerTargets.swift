import VLMFoundation
import VLMText

enum TokenizerTargets {
  /// Letters, digits, spaces, marks, an emoji, a special token's name and half of one.
  private static let text = "Hello,  wörld 123's\n\t🦙 a\u{301} </s><s <|im_start|>日本語 "

  static func sentencePiece(_ bytes: UnsafeRawBufferPointer) {
    attempt { () throws(TextError) in try Tokenizer(sentencePiece: Array(bytes), file: "f") }
  }

  static func json(_ bytes: UnsafeRawBufferPointer) {
    attempt { () throws(TextError) in try Tokenizer(tokenizerJSON: Array(bytes), file: "f") }
  }

  /// A container's section.
  static func section(_ bytes: UnsafeRawBufferPointer) {
    attempt { () throws(TextError) in try Tokenizer(container: Array(bytes), file: "f") }
  }

  private static func attempt(_ make: () throws(TextError) -> Tokenizer) {
    do throws(TextError) {
      exercise(try make())
    } catch {
      report(error)
    }
  }

  /// Encodes and decodes, then the same with what was written of the tokenizer and read again.
  static func exercise(_ tokenizer: Tokenizer) {
    do throws(TextError) {
      let ids = try tokenizer.encode(text)
      precondition(ids.count <= 8 * text.utf8.count + 8, "a text has few ids")
      for id in ids { precondition(tokenizer.piece(id) != nil, "an id is a piece") }
      let decoded = tokenizer.decode(ids)
      var stream = tokenizer.stream()
      var streamed = ""
      for id in ids { streamed += stream.append(id) }
      streamed += stream.finish()
      precondition(streamed.utf8.count <= 64 * decoded.utf8.count + 4096, "streams what it decodes")
      _ = try tokenizer.encodePadded(text)
      let again = try Tokenizer(container: tokenizer.serialized(), file: "again")
      let same = try again.encode(text)
      precondition(same == ids, "a tokenizer survives being written")
    } catch {
      report(error)
    }
  }
}
