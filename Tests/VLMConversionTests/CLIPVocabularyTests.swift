import Testing
import VLMConversion
import VLMFoundation
import VLMTestSupport
import VLMText

/// CLIP's vocabulary against what open_clip makes of the same strings.
struct CLIPVocabularyTests {
  @Test("every string's ids are open_clip's")
  func agrees() throws {
    let tokenizer = try CLIPVocabulary.tokenizer(context: 77)
    #expect(tokenizer.count == CLIPVocabulary.count)
    let cases = try TestFiles.json(TestFiles.fixture("tokenizer/clip-ids.json")).arrayValue ?? []
    #expect(cases.count > 400)
    for item in cases {
      let pair = try #require(item.arrayValue)
      let text = try #require(pair.first?.stringValue)
      let expected = (pair.last?.arrayValue ?? []).compactMap(\.intValue)
      let found = try tokenizer.encodePadded(text)
      #expect(found.count == 77)
      #expect(Array(found.prefix(expected.count)) == expected, "\(text.debugDescription)")
      #expect(found.dropFirst(expected.count).allSatisfy { $0 == 0 })
    }
  }

  @Test("a container keeps it")
  func stored() throws {
    let tokenizer = try CLIPVocabulary.tokenizer(context: 77)
    let again = try Tokenizer(container: tokenizer.serialized(), file: "memory")
    let text = "A photo of a rocket, 1969"
    let (found, expected) = (try again.encodePadded(text), try tokenizer.encodePadded(text))
    #expect(found == expected)
    #expect(again.contextLength == 77)
  }
}
