import Foundation
import Testing
import VLMFoundation
import VLMTestSupport

@testable import VLMImages

/// Sizes of pictures that are cut into patches.
struct PatchFittingTests {
  @Test("sizes are those that transformers' search finds")
  func sizes() throws {
    let bytes = Array(
      try Data(contentsOf: URL(fileURLWithPath: TestFiles.fixture("siglip/texts.json"))))
    let cases = try #require(try JSONValue.parse(bytes)["sizes"]?.arrayValue)
    #expect(cases.count == 8)
    for entry in cases {
      let n = try #require(entry.arrayValue).compactMap(\.intValue)
      let found = PatchFitting.size(width: n[1], height: n[0], side: n[2], count: n[3])
      #expect(found == (width: n[5], height: n[4]), "\(n)")
    }
  }

  @Test("the most elongated picture has a size")
  func extremes() {
    for (width, height) in [(1 << 31, 1), (1, 1 << 31), (1 << 31, 1 << 31)] {
      let found = PatchFitting.size(width: width, height: height, side: 16, count: 256)
      #expect(found.width >= 16 && found.height >= 16)
    }
  }

  @Test("what is written of them is read")
  func json() throws {
    let steps = Preprocessing(
      resize: .patches(side: 14, count: 729), filter: .bilinear, normalization: .half)
    #expect(try Preprocessing(json: steps.json(), name: "steps") == steps)
    #expect(steps.fixedSize == nil && steps.resolution == nil)
  }
}
